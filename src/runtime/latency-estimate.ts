/** Weight of the newest value in the mean and in the deviation (RFC 6298, section 2). */
const MEAN_GAIN = 1 / 8;
const DEVIATION_GAIN = 1 / 4;
/** Deviations that are added to the mean (RFC 6298). */
const DEVIATIONS = 4;
const FIRST_BUCKET_MS = 0.05;
/** Each bucket ends this much later than the one before: quantiles are right within 20 %. */
const BUCKET_RATIO = 1.2;
/** The last one ends at 0.05 ms × 1.2^79 = 90 s. */
const BUCKETS = 80;
/** Above this many values all counts are halved, so that what was long ago fades. */
const COUNT_MAX = 256;

/** What one kind of answer of one source has taken lately: mean, deviation, quantiles. 0.4 KiB. */
export class LatencyEstimate {
  readonly #counts = new Float32Array(BUCKETS);
  #total = 0;
  #meanMs = 0;
  #deviationMs = 0;
  #backOff = 1;

  /** Values that still count, at most 256. */
  get count(): number {
    return this.#total;
  }

  /** An answer took `latencyMs`. Ends the patience that {@link lose} added. */
  observe(latencyMs: number): void {
    const first = this.#total === 0;
    const error = latencyMs - this.#meanMs;
    this.#deviationMs = first
      ? latencyMs / 2
      : this.#deviationMs + DEVIATION_GAIN * (Math.abs(error) - this.#deviationMs);
    this.#meanMs = first ? latencyMs : this.#meanMs + MEAN_GAIN * error;
    this.#backOff = 1;
    const bucket = bucketOf(latencyMs);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#total += 1;
    if (this.#total > COUNT_MAX) this.#fade();
  }

  /** No answer came in time: the next one is given twice as long, as TCP does. */
  lose(): void {
    this.#backOff = Math.min(this.#backOff * 2, 64);
  }

  /** How long an answer may take before it is lost; undefined when nothing is known. */
  timeoutMs(): number | undefined {
    if (this.#total === 0) return undefined;
    return (this.#meanMs + DEVIATIONS * this.#deviationMs) * this.#backOff;
  }

  /** How often in a row no answer came, as a factor: 1, 2, 4 … 64. */
  get backOff(): number {
    return this.#backOff;
  }

  /**
   * The upper end of the bucket in which the quantile lies; undefined when nothing is known.
   *
   * @param quantile - 0 … 1
   */
  quantileMs(quantile: number): number | undefined {
    if (this.#total === 0) return undefined;
    let left = quantile * this.#total;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      left -= this.#counts[bucket] as number;
      if (left <= 0) return FIRST_BUCKET_MS * BUCKET_RATIO ** bucket;
    }
    return FIRST_BUCKET_MS * BUCKET_RATIO ** (BUCKETS - 1);
  }

  #fade(): void {
    this.#total = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      this.#counts[bucket] = (this.#counts[bucket] as number) / 2;
      this.#total += this.#counts[bucket] as number;
    }
  }
}

function bucketOf(latencyMs: number): number {
  const steps = Math.ceil(Math.log(latencyMs / FIRST_BUCKET_MS) / Math.log(BUCKET_RATIO));
  return Math.min(BUCKETS - 1, Math.max(0, steps));
}
