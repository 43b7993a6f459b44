import { SlotRing } from '../../runtime/slot-ring.ts';

/** Of a slot: the request's length, its frame. */
const LENGTH = 0;
const FRAME = 8;
/** Header and body of a RELEASE. @see struct fuse_in_header, struct fuse_release_in */
const FRAME_BYTES_MAX = 64;
/** More than a worker closes between two looks of the main thread, as a rule. */
const SLOTS = 256;
/** Byte offset and size of `unique` in a frame. @see struct fuse_in_header */
const UNIQUE_OFFSET = 8;
const UNIQUE_BYTES = 8;

/**
 * Requests to close a handle that one worker has answered, in shared memory: nobody waits for what
 * they do, so the main thread is not woken for them, and yet can look for them while the worker
 * waits for its next request.
 */
export class ClosedHandles {
  readonly shared: SharedArrayBuffer;
  readonly #ring: SlotRing;

  private constructor(ring: SlotRing) {
    this.#ring = ring;
    this.shared = ring.shared;
  }

  static create(): ClosedHandles {
    return new ClosedHandles(SlotRing.create(FRAME + FRAME_BYTES_MAX, SLOTS));
  }

  static attach(shared: SharedArrayBuffer): ClosedHandles {
    return new ClosedHandles(SlotRing.attach(shared));
  }

  /** How many the main thread has not taken. */
  get waiting(): number {
    return this.#ring.used;
  }

  /** Worker: notes a request that is answered. @returns false when there is no room */
  add(frame: Uint8Array, length: number): boolean {
    const at = length > FRAME_BYTES_MAX ? -1 : this.#ring.claim();
    if (at === -1) return false;
    this.#ring.view.setUint32(at + LENGTH, length, true);
    this.#ring.bytes.set(frame.subarray(0, length), at + FRAME);
    answered(this.#ring.bytes.subarray(at + FRAME, at + FRAME + length));
    this.#ring.push();
    return true;
  }

  /** Main thread. @returns the oldest request, which has no answer any more */
  take(): Uint8Array | undefined {
    const at = this.#ring.peek();
    if (at === -1) return undefined;
    const length = this.#ring.view.getUint32(at + LENGTH, true);
    const frame = this.#ring.bytes.slice(at + FRAME, at + FRAME + length);
    this.#ring.drop();
    return frame;
  }
}

/** Marks a request as answered: its `unique` is ANSWERED_UNIQUE. @returns the same frame */
export function answered(frame: Uint8Array): Uint8Array {
  return frame.fill(0, UNIQUE_OFFSET, UNIQUE_OFFSET + UNIQUE_BYTES);
}
