/** Lines that are kept when nobody asked for all of them: the last ones before a failure. */
const TAIL_LINES = 60;

/**
 * Everything that happens, as one number: two runs that differ anywhere have different hashes.
 * The last lines are kept for people.
 */
export class Trace {
  readonly #nowMs: () => number;
  readonly #onLine: ((line: string) => void) | undefined;
  readonly #tail: (readonly [number, string, readonly (string | number)[]])[] = [];
  #high = 0x6a09_e667;
  #low = 0xbb67_ae85;
  #count = 0;

  /** @param onLine - gets each line as it is noted; undefined keeps the last ones only */
  constructor(nowMs: () => number, onLine?: (line: string) => void) {
    this.#nowMs = nowMs;
    this.#onLine = onLine;
  }

  /** Things noted so far. */
  get count(): number {
    return this.#count;
  }

  /** The hash of all that was noted so far: 16 hexadecimal digits. */
  get hash(): string {
    return hex(this.#high) + hex(this.#low);
  }

  /** An event happens, whatever comes of it: part of the hash, and of nothing else. */
  step(): void {
    this.#mixNumber(this.#nowMs());
  }

  /** Something happened. @param details - whatever tells it from others */
  note(what: string, ...details: readonly (string | number)[]): void {
    this.#count += 1;
    const nowMs = this.#nowMs();
    this.#mixText(what);
    this.#mixNumber(nowMs);
    for (const detail of details) {
      if (typeof detail === 'number') this.#mixNumber(detail);
      else this.#mixText(detail);
    }
    this.#tail.push([nowMs, what, details]);
    if (this.#tail.length > 2 * TAIL_LINES) this.#tail.splice(0, TAIL_LINES);
    this.#onLine?.(lineOf(nowMs, what, details));
  }

  /** The last lines. */
  tail(): string[] {
    return this.#tail
      .slice(-TAIL_LINES)
      .map(([nowMs, what, details]) => lineOf(nowMs, what, details));
  }

  #mixText(text: string): void {
    for (let at = 0; at < text.length; at += 1) this.#mix(text.charCodeAt(at));
    this.#mix(text.length);
  }

  #mixNumber(value: number): void {
    // Times are fractions of a millisecond; what is below a nanosecond is no event of its own.
    const scaled = Math.round(value * 1e6);
    this.#mix(scaled | 0);
    this.#mix(Math.floor(scaled / 2 ** 32) | 0);
  }

  #mix(word: number): void {
    this.#high = Math.imul(this.#high ^ word, 0x9e37_79b1);
    this.#high ^= this.#high >>> 15;
    this.#low = Math.imul(this.#low ^ word ^ (this.#high >>> 16), 0x85eb_ca77);
    this.#low ^= this.#low >>> 13;
  }
}

function lineOf(nowMs: number, what: string, details: readonly (string | number)[]): string {
  const texts = details.map((detail) => (typeof detail === 'number' ? round(detail) : detail));
  return `${nowMs.toFixed(3).padStart(12)} ${what} ${texts.join(' ')}`;
}

function round(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(3);
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
