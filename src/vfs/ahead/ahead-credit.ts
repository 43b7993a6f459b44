/** What may be brought before anything was read. */
const FIRST_BYTES = 4 * 1024 * 1024;
/** Bytes that may be brought ahead for each byte that is read, by how useful that was lately. */
const GAIN_USEFUL = 8;
const GAIN_DOUBTFUL = 2;
const GAIN_USELESS = 0.25;
/** Shares of what was brought lately that was also read. */
const USEFUL_SHARE = 0.5;
const DOUBTFUL_SHARE = 0.25;
/** What is believed before anything is known, and how far back "lately" goes. */
const TRUST_BYTES = 16 * 1024 * 1024;
const MEMORY_BYTES = 256 * 1024 * 1024;

/**
 * How many bytes may be brought ahead of opens: some for each byte that is read, fewer when it turns
 * out that much is brought for nothing, and never more unread ones than the budget.
 */
export class AheadCredit {
  readonly #budgetBytes: number;
  #creditBytes: number;
  #unreadBytes = 0;
  #usedBytes = 0;
  #wastedBytes = 0;

  /** @param budgetBytes - of what was brought and not read yet */
  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
    this.#creditBytes = Math.min(FIRST_BYTES, budgetBytes);
  }

  /** Bytes that may be brought now; not above 0: none. */
  get availableBytes(): number {
    return Math.min(this.#creditBytes, this.#budgetBytes - this.#unreadBytes);
  }

  /** Bytes that were brought and not read yet. */
  get unreadBytes(): number {
    return this.#unreadBytes;
  }

  /** Share of what was brought lately that was read: 0 … 1; near 1 while little is known. */
  get usefulShare(): number {
    const used = this.#usedBytes + TRUST_BYTES;
    return used / (used + this.#wastedBytes);
  }

  /** A program reads so much, wherever it comes from. */
  demand(bytes: number): void {
    const share = this.usefulShare;
    const doubtful = share >= DOUBTFUL_SHARE ? GAIN_DOUBTFUL : GAIN_USELESS;
    const gain = share >= USEFUL_SHARE ? GAIN_USEFUL : doubtful;
    this.#creditBytes = Math.min(this.#budgetBytes, this.#creditBytes + gain * bytes);
  }

  /** So much is brought. */
  take(bytes: number): void {
    this.#creditBytes -= bytes;
    this.#unreadBytes += bytes;
  }

  /** What was brought was read, or never will be. */
  settle(outcome: 'used' | 'wasted', bytes: number): void {
    this.#unreadBytes -= bytes;
    if (outcome === 'used') this.#usedBytes += bytes;
    else this.#wastedBytes += bytes;
    if (this.#usedBytes + this.#wastedBytes <= MEMORY_BYTES) return;
    this.#usedBytes /= 2;
    this.#wastedBytes /= 2;
  }
}
