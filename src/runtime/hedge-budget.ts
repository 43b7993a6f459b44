/** One hedge for so many requests, in the long run: a slow cluster is not asked twice for all. */
const SHARE = 0.05;
/** Hedges that may come at once: what is under way to one source that has just stopped to answer. */
const BURST = 16;

/** Caps hedged requests at 5 % of all, plus a burst of 16. */
export class HedgeBudget {
  #tokens = BURST;

  /** A request is made. */
  earn(): void {
    this.#tokens = Math.min(BURST, this.#tokens + SHARE);
  }

  /** @returns whether a hedge may be sent; then it is counted */
  take(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** The last hedge was right at no cost: what it replaced had done nothing. */
  refund(): void {
    this.#tokens = Math.min(BURST, this.#tokens + 1);
  }
}
