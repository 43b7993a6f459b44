import assert from 'node:assert/strict';
import type { BlockKey } from '../../block/block-key.ts';
import type { SliceRecord } from '../../block/slice-record.ts';
import type { BlockSink } from '../../mesh/block-writer.ts';
import type { BlockBuffers } from './block-buffers.ts';

/** What slices under construction work with. */
export interface SliceParts {
  readonly blocks: BlockSink;
  readonly buffers: BlockBuffers;
  readonly blockBytes: number;
  /** A slice id that nobody else has. */
  readonly newSliceId: (signal: AbortSignal) => Promise<bigint>;
}

/**
 * New bytes of one chunk that become one slice. Blocks go to the object store as soon as they are
 * full, the rest when the slice is frozen; nothing can be written to what is on its way.
 */
export class WriteSlice {
  /** Chunk of the file. */
  readonly index: number;
  /** Where in the chunk the slice begins. */
  readonly pos: number;
  readonly startedMs: number;
  lastWriteMs: number;
  /** Bytes of the slice so far. */
  length = 0;
  /** Memory that was acquired for it, for whoever acquired it. */
  readonly releases: (() => void)[] = [];
  readonly #parts: SliceParts;
  /** Its blocks; those that were sent may have to be sent again. */
  readonly #buffers: (Buffer | undefined)[] = [];
  readonly #keys: BlockKey[] = [];
  readonly #aborting = new AbortController();
  readonly #done = Promise.withResolvers<void>();
  #id: Promise<bigint> | undefined;
  #sliceId = 0n;
  #sent = 0;
  #running = 0;
  #frozen = false;
  #uploaded = false;
  #failure: unknown;

  constructor(parts: SliceParts, at: { index: number; pos: number; nowMs: number }) {
    this.#parts = parts;
    this.index = at.index;
    this.pos = at.pos;
    this.startedMs = at.nowMs;
    this.lastWriteMs = at.nowMs;
    this.#done.promise.catch(() => undefined);
  }

  /** Nothing more can be written to it. */
  get frozen(): boolean {
    return this.#frozen;
  }

  /** All of it is in the object store. */
  get uploaded(): boolean {
    return this.#uploaded;
  }

  /** Resolves when all of it is in the object store; rejects when that failed or was given up. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** Where in the chunk it ends. */
  get end(): number {
    return this.pos + this.length;
  }

  /** Whether bytes at `offset` in the chunk can be written to this slice. */
  takes(offset: number): boolean {
    return !this.#frozen && offset >= this.pos + this.#sentBytes && offset <= this.end;
  }

  /** Whether the slice has bytes from `offset` to `end` in the chunk. */
  overlaps(offset: number, end: number): boolean {
    return offset < this.end && end > this.pos;
  }

  /**
   * Writes bytes that {@link takes} allows.
   *
   * @param offset - in the chunk
   */
  write(offset: number, bytes: Uint8Array, nowMs: number): void {
    assert(this.takes(offset), 'a write that does not fit the slice');
    const { blockBytes } = this.#parts;
    const from = offset - this.pos;
    for (let done = 0; done < bytes.byteLength; ) {
      const at = from + done;
      const inBlock = at % blockBytes;
      const take = Math.min(blockBytes - inBlock, bytes.byteLength - done);
      const buffer = this.#room((at - inBlock) / blockBytes, inBlock + take);
      buffer.set(bytes.subarray(done, done + take), inBlock);
      done += take;
    }
    this.length = Math.max(this.length, from + bytes.byteLength);
    this.lastWriteMs = nowMs;
    this.#sendFull();
  }

  /** Sends the rest. */
  freeze(): void {
    if (this.#frozen) return;
    this.#frozen = true;
    this.#sendFull();
    if (this.#sentBytes < this.length) this.#send();
    this.#settle();
  }

  /** The slice's record; it must be {@link uploaded}. */
  record(): SliceRecord {
    assert(this.#uploaded);
    const { pos, length } = this;
    return { pos, sliceId: this.#sliceId, size: length, off: 0, len: length };
  }

  /**
   * Stores all of it once more, under another id; it must be {@link uploaded}. The objects of the old
   * one stay: they may be part of the file.
   *
   * @throws BlockWriteError when that failed or was given up
   */
  async renew(): Promise<void> {
    assert(this.#uploaded);
    const { signal } = this.#aborting;
    this.#sliceId = await this.#parts.newSliceId(signal);
    this.#keys.splice(0);
    this.#running += 1;
    const ends = await Promise.allSettled(this.#buffers.map((_, index) => this.#put(index)));
    this.#running -= 1;
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** Gives its memory back: nothing of it will be sent any more. */
  free(): void {
    const buffers = this.#buffers.splice(0);
    // What is still being sent must not change.
    if (this.#running > 0) return;
    for (const buffer of buffers) if (buffer !== undefined) this.#parts.buffers.give(buffer);
  }

  /**
   * Takes back what is in the object store, as nobody will read it, and begins to store nothing more.
   *
   * @param underWay - `end` interrupts what is being stored, which may then arrive after it was taken back;
   *   `wait` takes it back when it has arrived
   */
  abort(reason: Error, underWay: 'end' | 'wait'): void {
    this.#frozen = true;
    this.#failure ??= reason;
    if (underWay === 'end') this.#aborting.abort(reason);
    if (!this.#uploaded) {
      this.#settle();
      return;
    }
    this.free();
    this.#parts.blocks.discard(this.#keys.splice(0));
  }

  get #sentBytes(): number {
    return Math.min(this.length, this.#sent * this.#parts.blockBytes);
  }

  #room(block: number, sizeBytes: number): Buffer {
    const { buffers, blockBytes } = this.#parts;
    const buffer = this.#buffers[block];
    if (buffer === undefined) {
      // Whoever fills a second block will likely fill it to its end.
      const wanted = block === 0 ? sizeBytes : blockBytes;
      const taken = buffers.take(wanted);
      this.#buffers[block] = taken;
      return taken;
    }
    if (buffer.length >= sizeBytes) return buffer;
    const larger = buffers.grow(buffer, sizeBytes, this.#sizeOf(block));
    this.#buffers[block] = larger;
    return larger;
  }

  #sizeOf(block: number): number {
    const { blockBytes } = this.#parts;
    return Math.min(blockBytes, this.length - block * blockBytes);
  }

  #sendFull(): void {
    const { blockBytes } = this.#parts;
    while (this.length >= (this.#sent + 1) * blockBytes) this.#send();
  }

  #send(): void {
    const index = this.#sent;
    this.#sent += 1;
    this.#running += 1;
    void this.#upload(index).then(
      () => this.#ended(undefined),
      (error: unknown) => this.#ended(error),
    );
  }

  async #upload(index: number): Promise<void> {
    const { signal } = this.#aborting;
    this.#id ??= this.#parts.newSliceId(signal);
    this.#sliceId = await this.#id;
    await this.#put(index);
  }

  async #put(index: number): Promise<void> {
    const { signal } = this.#aborting;
    signal.throwIfAborted();
    const buffer = this.#buffers[index];
    assert(buffer !== undefined);
    const key = { sliceId: this.#sliceId, index, sizeBytes: this.#sizeOf(index) };
    this.#keys.push(key);
    await this.#parts.blocks.put(key, buffer.subarray(0, key.sizeBytes), signal);
  }

  #ended(error: unknown): void {
    this.#running -= 1;
    if (error !== undefined) {
      this.#failure ??= error;
      this.#frozen = true;
      this.#aborting.abort(error);
    }
    this.#settle();
  }

  #settle(): void {
    if (!this.#frozen || this.#running > 0 || this.#uploaded) return;
    if (this.#failure === undefined) {
      this.#uploaded = true;
      this.#done.resolve();
      return;
    }
    this.#done.reject(this.#failure);
    this.free();
    // What was sent may have arrived although the answer has not.
    this.#parts.blocks.discard(this.#keys.splice(0));
  }
}
