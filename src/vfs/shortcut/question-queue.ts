import { SlotRing } from '../../runtime/slot-ring.ts';
import { QUESTION_BYTES_MAX } from './question.ts';

/** Of a slot: the request's length, when it was asked, by clock and ticket, its frame. */
const LENGTH = 0;
const TICKET = 4;
const ASKED_MS = 8;
const FRAME = 16;
const SLOT_BYTES = Math.ceil((FRAME + QUESTION_BYTES_MAX) / 8) * 8;
/** More requests of one worker than ever wait at once; what is beyond goes to the main thread. */
const SLOTS = 256;

/** The requests that one worker thread has asked the server about, in the order of its answers. */
export class QuestionQueue {
  readonly shared: SharedArrayBuffer;
  readonly #ring: SlotRing;
  /** The frame that {@link look} found, valid until `drop`. */
  readonly frame: Uint8Array;
  readonly words: Uint32Array;
  length = 0;
  askedMs = 0;
  /** Of the main thread's requests those up to this one, modulo 2^32, were made before it was asked. */
  ticket = 0;

  private constructor(ring: SlotRing) {
    this.#ring = ring;
    this.shared = ring.shared;
    const frame = new ArrayBuffer(Math.ceil(QUESTION_BYTES_MAX / 4) * 4);
    this.frame = new Uint8Array(frame);
    this.words = new Uint32Array(frame);
  }

  static create(): QuestionQueue {
    return new QuestionQueue(SlotRing.create(SLOT_BYTES, SLOTS));
  }

  static attach(shared: SharedArrayBuffer): QuestionQueue {
    return new QuestionQueue(SlotRing.attach(shared));
  }

  /** How many were answered so far, modulo 2^32. */
  get answered(): number {
    return this.#ring.taken;
  }

  /** Asking thread. @returns false when the queue is full */
  add(frame: Uint8Array, length: number, asked: { nowMs: number; ticket: number }): boolean {
    const at = this.#ring.claim();
    if (at === -1) return false;
    const { view, bytes } = this.#ring;
    view.setUint32(at + LENGTH, length, true);
    view.setUint32(at + TICKET, asked.ticket, true);
    view.setFloat64(at + ASKED_MS, asked.nowMs, true);
    for (let index = 0; index < length; index++) {
      bytes[at + FRAME + index] = frame[index] as number;
    }
    this.#ring.push();
    return true;
  }

  /** Answering thread: reads the oldest request. @returns false when there is none */
  look(): boolean {
    const at = this.#ring.peek();
    if (at === -1) return false;
    const { view, bytes } = this.#ring;
    this.length = view.getUint32(at + LENGTH, true);
    this.ticket = view.getUint32(at + TICKET, true);
    this.askedMs = view.getFloat64(at + ASKED_MS, true);
    for (let index = 0; index < this.length; index++) {
      this.frame[index] = bytes[at + FRAME + index] as number;
    }
    return true;
  }

  /** Answering thread: the oldest request is dealt with. */
  drop(): void {
    this.#ring.drop();
  }
}
