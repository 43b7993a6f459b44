import { blockIdOf, type BlockKey } from '../../../src/block/block-key.ts';
import { planRead, resolveSlices } from '../../../src/block/read-plan.ts';
import type { SliceRecord } from '../../../src/block/slice-record.ts';
import type { BlockSink } from '../../../src/mesh/block-writer.ts';
import { MetaError, type MetaReader } from '../../../src/meta/engine.ts';
import type { Committed, DataWriter, SliceCommit } from '../../../src/meta/writer.ts';
import { type Attr, FileType, type Timespec } from '../../../src/posix/attr.ts';
import { type Ino, toIno } from '../../../src/posix/ino.ts';
import { abortable } from '../../../src/runtime/abortable.ts';

const CHUNK_BYTES = 2 ** 26;
const TIME = { seconds: 1, nanoseconds: 0 };

export const FILE_INO: Ino = toIno(7n);

/** The attribute of an empty file. */
export const EMPTY_FILE: Attr = {
  ...{ type: FileType.file, mode: 0o644, uid: 0, gid: 0, nlink: 1, length: 0n, rdev: 0 },
  ...{ atime: TIME, mtime: TIME, ctime: TIME, parent: toIno(1n), flags: 0 },
  ...{ accessAclId: 0, defaultAclId: 0, tier: 0 },
};

/** A file's metadata and an object store in memory; both fail and wait as a test says. */
export class FakeVolume {
  attr = EMPTY_FILE;
  readonly chunks = new Map<number, SliceRecord[]>();
  readonly objects = new Map<string, Uint8Array>();
  /** Called before a block is stored, and before slices are committed. */
  onPut: (key: BlockKey) => Promise<void> = async () => undefined;
  onCommit: (commits: readonly SliceCommit[]) => Promise<void> = async () => undefined;
  /** Called after slices were committed, before the answer. */
  onCommitted: () => Promise<void> = async () => undefined;
  /** Slice lists cannot be read. */
  isAway = false;
  readonly commits: SliceCommit[][] = [];
  readonly problems: string[] = [];
  readonly #blockBytes: number;
  #slices = 0n;

  constructor(blockBytes: number) {
    this.#blockBytes = blockBytes;
  }

  readonly blocks: BlockSink = {
    // Whoever gives up does not wait for it, and it arrives all the same.
    put: (key, plain, signal) => abortable(this.#store(key, plain), signal),
    discard: (keys) => {
      for (const key of keys) this.objects.delete(blockIdOf(key));
    },
  };

  get writer(): DataWriter {
    const commitSlices = (_: Ino, commits: readonly SliceCommit[], mtime: Timespec) =>
      this.#commit(commits, mtime);
    const newSliceId = async () => ++this.#slices;
    return { newSliceId, commitSlices } as Partial<DataWriter> as DataWriter;
  }

  get meta(): MetaReader {
    const readChunk = async (_: Ino, index: number) => {
      if (this.isAway) throw new MetaError('unavailable', 'away', { retryable: true });
      return this.chunks.get(index) ?? [];
    };
    const getattr = async () => this.attr;
    return { readChunk, getattr } as Partial<MetaReader> as MetaReader;
  }

  /** What another client reads: the whole file, from slice lists and objects alone. */
  content(): Uint8Array {
    const whole = new Uint8Array(Number(this.attr.length));
    for (let start = 0, index = 0; start < whole.length; start += CHUNK_BYTES, index += 1) {
      const pieces = resolveSlices(this.chunks.get(index) ?? []);
      const range = { offset: 0, length: Math.min(CHUNK_BYTES, whole.length - start) };
      for (const { at, key, ...step } of planRead(pieces, range, this.#blockBytes)) {
        if (key === undefined || !('inBlock' in step)) continue;
        const object = this.objects.get(blockIdOf(key));
        if (object === undefined) throw new Error(`block ${blockIdOf(key)} is missing`);
        const { offset, length } = step.inBlock;
        whole.set(object.subarray(offset, offset + length), start + at.offset);
      }
    }
    return whole;
  }

  async #store(key: BlockKey, plain: Uint8Array): Promise<void> {
    await this.onPut(key);
    if (plain.byteLength !== key.sizeBytes) this.problems.push('a block of another length');
    if (this.objects.has(blockIdOf(key))) this.problems.push('a block was stored twice');
    this.objects.set(blockIdOf(key), Uint8Array.from(plain));
  }

  async #commit(commits: readonly SliceCommit[], mtime: Timespec): Promise<Committed> {
    await this.onCommit(commits);
    this.commits.push([...commits]);
    let { length } = this.attr;
    for (const { index, record } of commits) {
      for (let block = 0; block * this.#blockBytes < record.size; block += 1) {
        const sizeBytes = Math.min(this.#blockBytes, record.size - block * this.#blockBytes);
        const id = blockIdOf({ sliceId: record.sliceId, index: block, sizeBytes });
        if (!this.objects.has(id)) this.problems.push(`${id} was committed before it was stored`);
      }
      this.chunks.set(index, [...(this.chunks.get(index) ?? []), record]);
      const end = BigInt(index) * BigInt(CHUNK_BYTES) + BigInt(record.pos + record.len);
      if (end > length) length = end;
    }
    this.attr = { ...this.attr, length, mtime, ctime: mtime };
    const { attr } = this;
    await this.onCommitted();
    return { attr, recordCounts: commits.map(({ index }) => this.chunks.get(index)?.length ?? 0) };
  }
}
