import { type Ino, toIno } from '../../posix/ino.ts';
import type { FilesWriting } from '../files.ts';
import type { CloneTree } from '../internal/control-session.ts';
import type { LoggedCalls } from '../internal/logged-calls.ts';
import type { OpenFile } from '../open-file.ts';
import type { OpenFiles } from '../open-files.ts';
import type { PlanCache } from '../plan-cache.ts';
import type { RootMap } from '../root-map.ts';
import type { VfsParts, VfsWriting } from '../vfs-parts.ts';
import { Compactions } from './compactions.ts';
import { VfsMutations } from './vfs-mutations.ts';
import type { WriteParts } from './write-parts.ts';
import { Writers } from './writers.ts';

/** Share of the buffer for bytes that wait to be stored; their memory can be twice as much. */
const WRITE_SHARE = 0.5;

/** What a mount has that can write. */
export class Writing {
  /** What makes one slice of many. */
  readonly compactions: Compactions;
  readonly #parts: VfsParts;
  readonly #own: VfsWriting;
  readonly #openFiles: OpenFiles;
  readonly #writers: Writers;
  #mutations: VfsMutations | undefined;

  constructor(
    parts: VfsParts,
    own: VfsWriting,
    { openFiles, plans }: { readonly openFiles: OpenFiles; readonly plans: PlanCache },
  ) {
    const bufferBytes = parts.options.bufferBytes * WRITE_SHARE;
    const { blockBytes } = parts.setting;
    this.#parts = parts;
    this.#own = own;
    this.#openFiles = openFiles;
    this.compactions = new Compactions({
      ...parts,
      ...own,
      onMoved: (ino, index) => {
        const file = openFiles.find(ino);
        if (file !== undefined) plans.drop(file.version, index);
      },
    });
    const { compactions } = this;
    const shared = { openFiles, compactions, bufferBytes, blockBytes };
    this.#writers = new Writers({ ...parts, ...own, ...shared });
  }

  /** What opening files needs. */
  get forFiles(): FilesWriting {
    return { meta: this.#own.writer, writers: this.#writers };
  }

  /** Everything that changes the volume. */
  mutations(
    shared: Pick<
      WriteParts,
      'nodes' | 'files' | 'told' | 'coherence' | 'root' | 'virtual' | 'catchUp'
    >,
    calls: LoggedCalls,
  ): VfsMutations {
    const { writer } = this.#own;
    const own = { writer, writers: this.#writers, openFiles: this.#openFiles };
    const parts = { ...this.#parts, ...shared, ...own };
    this.#mutations = new VfsMutations(parts, calls, this.#parts.logger);
    return this.#mutations;
  }

  /** @param invalidate - the driver's `invalidateInode` */
  attachInvalidation(
    invalidate: (ino: Ino, offset: number, lengthBytes: number) => void,
    root: RootMap,
  ): void {
    this.#mutations?.locks.onStaleAttr((ino) => invalidate(ino, -1, 0));
    this.#writers.onLoss((ino) => invalidate(root.toKernel(ino), 0, 0));
  }

  /**
   * What was written here is read from where everything is read: resolves when it is there.
   *
   * @param range - undefined: the whole file
   * @throws FsError when it was lost; the signal's reason when aborted
   */
  async beforeReading(
    file: OpenFile,
    range: { offset: number; length: number } | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (file.pending === undefined) return;
    if (range === undefined) await this.#writers.flush(file.ino, signal);
    else await this.#writers.settle(file.ino, range, signal);
  }

  /** What answers `juicefs clone`. Whoever asks is not checked by the kernel. */
  cloner(root: RootMap): CloneTree {
    return async ({ source, parent, name, umask, preserve }, { user, onCopied, signal }) => {
      const ino = root.toVolume(toIno(source));
      await this.#writers.flush(ino, signal);
      const caller = { uid: user.uid, gid: user.gid, gids: [user.gid], checkPerm: true };
      const at = { parent: root.toVolume(toIno(parent)), name };
      const options = { umask, preserve, onCopied };
      await this.#own.writer.clone(ino, at, options, { caller, signal });
    };
  }

  /** Commits what was written. Never rejects. */
  async stop(): Promise<void> {
    await Promise.all([this.compactions.stop(), this.#writers.stop()]);
  }
}
