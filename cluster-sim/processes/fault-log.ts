/** What went wrong, when, and whether it is over. */
interface Entry {
  readonly text: string;
  readonly kind: string;
  readonly fromMs: number;
  untilMs: number;
}

/** After a fault, retries that it began still have to end. */
const AFTER_MS = 2_000;

/** Which faults were there at a time; times are those of `Date.now()`. */
export class FaultLog {
  readonly #entries: Entry[] = [];

  /** @returns ends it */
  begin(kind: string, text: string): () => void {
    const entry = { kind, text, fromMs: Date.now(), untilMs: Number.POSITIVE_INFINITY };
    this.#entries.push(entry);
    return () => {
      entry.untilMs = Date.now();
    };
  }

  get length(): number {
    return this.#entries.length;
  }

  /** Texts of the faults that may have to do with what happened between. */
  during(fromMs: number, untilMs: number): string[] {
    return this.#between(fromMs, untilMs).map(({ text }) => text);
  }

  /** Whether a fault of this kind was there. */
  had(kind: string, fromMs: number, untilMs: number): boolean {
    return this.#between(fromMs, untilMs).some((entry) => entry.kind === kind);
  }

  #between(fromMs: number, untilMs: number): Entry[] {
    return this.#entries.filter(
      (entry) => entry.fromMs <= untilMs && entry.untilMs + AFTER_MS >= fromMs,
    );
  }
}
