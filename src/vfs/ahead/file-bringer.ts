import { type BlockKey, blockIdOf } from '../../block/block-key.ts';
import { type Piece, planRead, resolveSlices, SliceRecordError } from '../../block/read-plan.ts';
import type { BlockLoader } from '../../mesh/loader.ts';
import type { MetaReader } from '../../meta/engine.ts';
import { type Attr, FileType } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import type { ExtentPublisher } from '../extent-publisher.ts';
import type { FileVersion } from '../file-version.ts';
import type { OpenFile } from '../open-file.ts';
import type { OpenFiles } from '../open-files.ts';
import type { PlanCache } from '../plan-cache.ts';
import type { ToldAttrs } from '../told-attrs.ts';

/** What bringing files works with. */
export interface FileBringerParts {
  readonly meta: MetaReader;
  readonly loader: BlockLoader;
  readonly plans: PlanCache;
  readonly publisher: ExtentPublisher;
  readonly files: OpenFiles;
  readonly told: ToldAttrs;
  readonly blockBytes: number;
}

interface Held {
  readonly file: OpenFile;
  readonly version: FileVersion;
}

/** A file whose blocks are under way. */
interface Coming {
  readonly version: FileVersion;
  left: number;
}

/** Blocks of one file at most; more has only a file that was written in tiny pieces. */
const BLOCKS_PER_FILE_MAX = 16;

/**
 * Brings files of one block's length before they are opened: what an open and a read would ask for,
 * for many files in one go. Nothing here answers an open: that asks the metadata as ever, and finds
 * the rest at hand when the file still is what it was.
 */
export class FileBringer {
  readonly #parts: FileBringerParts;

  constructor(parts: FileBringerParts) {
    this.#parts = parts;
  }

  /**
   * @param accept - told of each file that can be brought, and its bytes; false leaves it
   * @returns when all blocks are here, or will not come
   * @throws what the metadata engine throws; the signal's reason when aborted
   */
  async bring(
    inos: readonly Ino[],
    accept: (ino: Ino, lengthBytes: number) => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { meta, files, told } = this.#parts;
    const ticket = files.ticket();
    // Attributes first: slices may be newer than the version that they hang on, but never older.
    const attrs = await meta.getattrs(inos, signal);
    const held: Held[] = [];
    try {
      attrs.forEach((attr, index) => {
        if (attr === undefined || !this.#isSmall(attr)) return;
        const ino = inos[index] as Ino;
        if (!accept(ino, Number(attr.length))) return;
        const file = files.open(ino, attr, ticket);
        held.push({ file, version: file.version });
        // Asked after the file became known: what the kernel is told from here on agrees with that.
        if (!told.mayDiffer(ino, file.attr)) files.markBelieved(file);
      });
      await this.#plan(held, signal);
      await this.#gather(held.map(({ version }) => version));
    } finally {
      for (const { file, version } of held) files.close(file, version);
    }
  }

  #isSmall({ type, length }: Attr): boolean {
    return type === FileType.file && length > 0n && length <= this.#parts.blockBytes;
  }

  /** Fetches the slice lists that are not known. */
  async #plan(held: readonly Held[], signal: AbortSignal): Promise<void> {
    const { meta, plans } = this.#parts;
    const versions = held.map(({ version }) => version);
    const unknown = versions.filter((version) => plans.cached(version, 0) === undefined);
    if (unknown.length === 0) return;
    const lists = await meta.readFirstChunks(
      unknown.map(({ ino }) => ino),
      signal,
    );
    lists.forEach((records, index) => {
      // No list may mean that the file is gone: the reader will find out.
      if (records === undefined || records.length === 0) return;
      plans.put(unknown[index] as FileVersion, 0, resolveSlices(records));
    });
  }

  async #gather(versions: readonly FileVersion[]): Promise<void> {
    const { loader, plans } = this.#parts;
    const wanted = new Map<string, Coming[]>();
    const keys: BlockKey[] = [];
    for (const version of versions) {
      const blocks = this.#blocksOf(version, plans.cached(version, 0));
      const coming = { version, left: blocks.length };
      for (const key of blocks) {
        const id = blockIdOf(key);
        const others = wanted.get(id);
        if (others === undefined) {
          wanted.set(id, [coming]);
          keys.push(key);
        } else others.push(coming);
      }
    }
    if (keys.length === 0) return;
    const all = Promise.withResolvers<void>();
    let left = keys.length;
    loader.gather(keys, (key) => {
      for (const coming of wanted.get(blockIdOf(key)) ?? []) this.#arrived(coming);
      left -= 1;
      if (left === 0) all.resolve();
    });
    await all.promise;
  }

  #arrived(coming: Coming): void {
    coming.left -= 1;
    if (coming.left === 0) this.#parts.publisher.offer(coming.version, 0, { notify: false });
  }

  /** Each block once. A bad record is the reader's concern. */
  #blocksOf(version: FileVersion, pieces: readonly Piece[] | undefined): BlockKey[] {
    if (pieces === undefined) return [];
    const range = { offset: 0, length: version.lengthBytes };
    const keys = new Map<string, BlockKey>();
    try {
      for (const { key } of planRead(pieces, range, this.#parts.blockBytes)) {
        if (key !== undefined) keys.set(blockIdOf(key), key);
      }
    } catch (error) {
      if (!(error instanceof SliceRecordError)) throw error;
      return [];
    }
    return keys.size > BLOCKS_PER_FILE_MAX ? [] : [...keys.values()];
  }
}
