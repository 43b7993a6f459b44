import { ceilLog2, DURATION_BUCKETS, durationBucket } from './duration-buckets.ts';
import { READ_SIZE_BUCKETS } from './session-metrics.ts';

const READS = 0;
const POSTED = 1;
const REFUSED = 2;
const MEMORY_BYTES = 3;
const FILE_BYTES = 4;
const SIZES = 5;
const DURATIONS = SIZES + READ_SIZE_BUCKETS.length;
const FIELDS = DURATIONS + DURATION_BUCKETS.length;
/** Whole cache lines per worker, so that workers do not slow each other. */
const STRIDE = Math.ceil(FIELDS / 8) * 8;

/** Sums since the start. */
export interface WorkerTotals {
  /** Reads that workers answered. */
  readonly reads: number;
  /** Requests handed to the main thread. */
  readonly posted: number;
  /** Replies that the kernel did not take. */
  readonly refused: number;
  /** Bytes from memory, and from cache files. */
  readonly memoryBytes: number;
  readonly fileBytes: number;
  /** Reads per bucket of READ_SIZE_BUCKETS. */
  readonly sizes: readonly number[];
  /** Reads per bucket of DURATION_BUCKETS. */
  readonly durations: readonly number[];
}

/**
 * What workers count, in shared memory. Each worker adds to its own numbers only and the main
 * thread reads them; a read that comes a moment too early is made up for at the next.
 */
export class WorkerStats {
  readonly shared: SharedArrayBuffer;
  readonly #workers: number;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#workers = shared.byteLength / (STRIDE * 8);
  }

  static create(workers: number): WorkerStats {
    return new WorkerStats(new SharedArrayBuffer(workers * STRIDE * 8));
  }

  /** The numbers of one worker, for {@link countRead} and its neighbours. */
  slice(worker: number): Float64Array {
    return new Float64Array(this.shared, worker * STRIDE * 8, STRIDE);
  }

  /** Adds up all workers. */
  totals(): WorkerTotals {
    const sum = new Float64Array(STRIDE);
    for (let worker = 0; worker < this.#workers; worker++) {
      this.slice(worker).forEach((value, index) => {
        sum[index] = (sum[index] as number) + value;
      });
    }
    return {
      reads: sum[READS] as number,
      posted: sum[POSTED] as number,
      refused: sum[REFUSED] as number,
      memoryBytes: sum[MEMORY_BYTES] as number,
      fileBytes: sum[FILE_BYTES] as number,
      sizes: [...sum.subarray(SIZES, DURATIONS)],
      durations: [...sum.subarray(DURATIONS, FIELDS)],
    };
  }
}

/** Counts a read that the worker has answered. */
export function countRead(slice: Float64Array, sizeBytes: number, durationMs: number): void {
  bump(slice, READS);
  const pages = Math.max(1, Math.ceil(sizeBytes / (READ_SIZE_BUCKETS[0] as number)));
  bump(slice, SIZES + Math.min(ceilLog2(pages), READ_SIZE_BUCKETS.length - 1));
  bump(slice, DURATIONS + durationBucket(durationMs));
}

/** Counts where a read's bytes came from. */
export function countBytes(slice: Float64Array, memoryBytes: number, fileBytes: number): void {
  slice[MEMORY_BYTES] = (slice[MEMORY_BYTES] as number) + memoryBytes;
  slice[FILE_BYTES] = (slice[FILE_BYTES] as number) + fileBytes;
}

/** Counts a request that the worker has handed to the main thread. */
export function countPosted(slice: Float64Array): void {
  bump(slice, POSTED);
}

/** Counts a reply that the kernel did not take. */
export function countRefused(slice: Float64Array): void {
  bump(slice, REFUSED);
}

function bump(slice: Float64Array, index: number): void {
  slice[index] = (slice[index] as number) + 1;
}
