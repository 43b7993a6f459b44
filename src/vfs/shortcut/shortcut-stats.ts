import { DURATION_BUCKETS, durationBucket } from '../../fuse/kernel/duration-buckets.ts';
import { Opcode } from './question.ts';

const COUNT = 0;
const SECONDS = 1;
const DURATIONS = 2;
const STRIDE = DURATIONS + DURATION_BUCKETS.length;

/** Request types by their place in the numbers. */
const METHODS = [
  { method: 'lookup', opcode: Opcode.lookup },
  { method: 'getattr', opcode: Opcode.getattr },
  { method: 'open', opcode: Opcode.open },
] as const;

/** Sums of one request type since the start. */
export interface MethodTotals {
  readonly method: (typeof METHODS)[number]['method'];
  readonly count: number;
  readonly seconds: number;
  /** By bucket of DURATION_BUCKETS. */
  readonly durations: readonly number[];
}

/** What the answering thread counts, in shared memory. */
export class ShortcutStats {
  readonly shared: SharedArrayBuffer;
  readonly #numbers: Float64Array;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#numbers = new Float64Array(shared);
  }

  static create(): ShortcutStats {
    return new ShortcutStats(new SharedArrayBuffer(METHODS.length * STRIDE * 8));
  }

  /** Answering thread: a request was answered. */
  count(opcode: number, durationMs: number): void {
    const index = METHODS.findIndex((row) => row.opcode === opcode);
    if (index === -1) return;
    const at = index * STRIDE;
    this.#add(at + COUNT, 1);
    this.#add(at + SECONDS, durationMs / 1000);
    this.#add(at + DURATIONS + durationBucket(durationMs), 1);
  }

  /** Main thread. */
  totals(): MethodTotals[] {
    return METHODS.map(({ method }, index) => {
      const at = index * STRIDE;
      return {
        method,
        count: this.#numbers[at + COUNT] as number,
        seconds: this.#numbers[at + SECONDS] as number,
        durations: [...this.#numbers.subarray(at + DURATIONS, at + STRIDE)],
      };
    });
  }

  #add(index: number, amount: number): void {
    this.#numbers[index] = (this.#numbers[index] as number) + amount;
  }
}
