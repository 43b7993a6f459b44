import assert from 'node:assert/strict';
import type { BlockId } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import { abortReason } from '../runtime/deadline.ts';
import type { HeldBlock, Reservation } from '../store/tier.ts';
import type { FilledFrom } from './fill-race.ts';
import type { BlockBytes } from './loader.ts';

interface Waiter {
  readonly end: number;
  readonly wake: () => void;
  readonly fail: (error: Error) => void;
}

/**
 * A whole block on its way into the memory tier. Readers wait for their part only and get it as soon
 * as it has arrived; the memory stays until the last of them has released it.
 */
export class BlockFlight {
  readonly #reservation: Reservation;
  readonly #waiters = new Set<Waiter>();
  #readyBytes = 0;
  /** The pilot, who writes into the memory, counts as one. */
  #readers = 1;
  #from: FilledFrom | undefined;
  #state: 'flying' | 'landed' | 'failed' = 'flying';
  #error: Error | undefined;
  #held: HeldBlock | undefined;
  /** Made when they are asked for: a block that came with others needs neither. */
  #cancelled: AbortController | undefined;
  #kept: PromiseWithResolvers<void> | undefined;
  #isKept = false;

  /** @param reservation - room for exactly the block */
  constructor(reservation: Reservation) {
    this.#reservation = reservation;
  }

  /** Where sources write to. */
  get bytes(): Uint8Array {
    return this.#reservation.bytes;
  }

  /** Leading bytes that are final. */
  get readyBytes(): number {
    return this.#readyBytes;
  }

  /** Nobody holds the memory any more, which may serve another block: not to be read. */
  get isOver(): boolean {
    return this.#readers === 0;
  }

  /** Aborted when the flight is to end early; the pilot's sources follow it. */
  get signal(): AbortSignal {
    this.#cancelled ??= new AbortController();
    return this.#cancelled.signal;
  }

  /** Resolves when the tiers have done with the block, landed or not: what is to be kept is kept. */
  get kept(): Promise<void> {
    if (this.#isKept) return Promise.resolve();
    this.#kept ??= Promise.withResolvers<void>();
    return this.#kept.promise;
  }

  /** Whether nobody waits for it or reads it. */
  get isLonely(): boolean {
    return this.#readers === 1 && this.#state === 'flying';
  }

  /** Ends the flight early: it fails with `reason`, unless it has landed. */
  cancel(reason: Error): void {
    this.#cancelled ??= new AbortController();
    this.#cancelled.abort(reason);
  }

  /** The pilot's part: the tiers have the block, or will not. */
  markKept(): void {
    this.#isKept = true;
    this.#kept?.resolve();
  }

  /** Its bytes come from the origin now, so that waiting for it is waiting for no peer. */
  get isAtOrigin(): boolean {
    return this.#from === 'origin';
  }

  /** Where the bytes that arrive now come from. */
  set from(from: FilledFrom) {
    this.#from = from;
  }

  /**
   * The first `readyBytes` bytes are final; never shrinks. Who waits for the last byte is woken when
   * the block has landed, so that it then is where worker threads find it.
   */
  progress(readyBytes: number): void {
    this.#wake(Math.min(readyBytes, this.bytes.byteLength - 1));
  }

  #wake(readyBytes: number): void {
    if (readyBytes <= this.#readyBytes) return;
    this.#readyBytes = readyBytes;
    for (const waiter of this.#waiters) {
      if (waiter.end > readyBytes) continue;
      this.#waiters.delete(waiter);
      waiter.wake();
    }
  }

  /** The pilot's part when all went well: the block is complete. @returns it, held for the pilot */
  land(id: BlockId, options: { keep: boolean }): HeldBlock {
    assert.equal(this.#state, 'flying');
    const held = this.#reservation.commit(id, options);
    this.#state = 'landed';
    this.#held = held;
    this.#wake(held.bytes.byteLength);
    return { lease: held.lease, bytes: held.bytes, release: this.#releaser() };
  }

  /**
   * No source could deliver. Readers whose part had arrived keep it.
   *
   * @returns what the pilot calls once nothing writes into the memory any more; until then the room
   *   must not be used again
   */
  fail(error: Error): () => void {
    assert.equal(this.#state, 'flying');
    this.#state = 'failed';
    this.#error = error;
    for (const waiter of this.#waiters) waiter.fail(error);
    this.#waiters.clear();
    return this.#releaser();
  }

  /**
   * Resolves as soon as `range` has arrived. Not to be called when the flight {@link isOver}.
   *
   * @throws what the flight failed with; the signal's reason when aborted
   */
  async read(range: ByteRange, signal: AbortSignal): Promise<BlockBytes> {
    assert(!this.isOver, 'a flight is read after its memory was given back');
    this.#readers += 1;
    const release = this.#releaser();
    try {
      await this.#arrival(range.offset + range.length, signal);
    } catch (error) {
      release();
      throw error;
    }
    const bytes = this.bytes.subarray(range.offset, range.offset + range.length);
    return { bytes, from: this.#from ?? 'origin', release };
  }

  #arrival(end: number, signal: AbortSignal): Promise<void> {
    if (end <= this.#readyBytes) return Promise.resolve();
    if (signal.aborted) return Promise.reject(abortReason(signal));
    if (this.#error !== undefined) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      const settle = (done: () => void) => {
        signal.removeEventListener('abort', onAbort);
        this.#waiters.delete(waiter);
        done();
      };
      const onAbort = () => settle(() => reject(abortReason(signal)));
      const waiter: Waiter = {
        end,
        wake: () => settle(resolve),
        fail: (error) => settle(() => reject(error)),
      };
      this.#waiters.add(waiter);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #releaser(): () => void {
    let held = true;
    return () => {
      assert(held, 'a block was released twice');
      held = false;
      this.#readers -= 1;
      if (this.#readers > 0) return;
      if (this.#state === 'landed') this.#held?.release();
      if (this.#state === 'failed') this.#reservation.abandon();
    };
  }
}
