import type { Clock } from '../runtime/clock.ts';
import { lateAfterMs, type LateRule } from '../runtime/late-rule.ts';
import { LatencyEstimate } from '../runtime/latency-estimate.ts';

/** A read is late after three times the p95 of those that ended, within 150 … 1,000 ms. */
const LATE: LateRule = { factor: 3, leastMs: 150, mostMs: 1_000 };
/** A disk hangs when so many of its calls have not returned for this long, and longer than is usual. */
const HUNG_CALLS = 3;
const HUNG_LEAST_MS = 500;

/** How fast a cache disk usually is, and whether it stands still. */
export class DiskPace {
  readonly #clock: Clock;
  readonly #reads = new LatencyEstimate();
  /** Calls that the disk has not returned from, by when they began: the oldest one is the first. */
  readonly #open = new Set<{ readonly startMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How long a read may take before the block is looked for elsewhere, too. */
  get lateMs(): number {
    return lateAfterMs(this.#reads.quantileMs(0.95) ?? 0, LATE);
  }

  /** Whether several calls have not returned for long; no more once the disk answers them. */
  get isHanging(): boolean {
    if (this.#open.size < HUNG_CALLS) return false;
    const latestMs = this.#clock.nowMs() - Math.max(HUNG_LEAST_MS, this.lateMs);
    let hung = 0;
    for (const { startMs } of this.#open) {
      if (startMs > latestMs) return false;
      hung += 1;
      if (hung === HUNG_CALLS) return true;
    }
    return false;
  }

  /** A block was opened, or a part of it read, as a whole in `tookMs`. */
  observe(tookMs: number): void {
    this.#reads.observe(tookMs);
  }

  /** A block is opened, or a part of it read. @returns to be called when that has gone well */
  begin(): () => void {
    const startMs = this.#clock.nowMs();
    return () => this.observe(this.#clock.nowMs() - startMs);
  }

  /** Follows a call, which may never return. */
  follow(call: Promise<unknown>): void {
    const open = { startMs: this.#clock.nowMs() };
    this.#open.add(open);
    const end = () => void this.#open.delete(open);
    call.then(end, end);
  }
}
