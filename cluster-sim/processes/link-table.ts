import type { LinkRules } from '../network/link-rules.ts';

/** What the switch needs to know of a link, as numbers. */
const FIELDS = [
  'cut',
  'latencyMs',
  'jitterMs',
  'lossRate',
  'reorderRate',
  'duplicateRate',
  'bytesPerMs',
] as const;
type Field = (typeof FIELDS)[number];

/** The state of all links in memory that two threads share: one writes, the switch reads. */
export class LinkTable {
  readonly memory: SharedArrayBuffer;
  readonly #cells: Float64Array;
  readonly #places: number;

  /** @param memory - of another table with the same number of places, to share it */
  constructor(places: number, memory?: SharedArrayBuffer) {
    this.memory = memory ?? new SharedArrayBuffer(places * places * FIELDS.length * 8);
    this.#cells = new Float64Array(this.memory);
    this.#places = places;
  }

  get(from: number, to: number, field: Field): number {
    return this.#cells[this.#at(from, to) + FIELDS.indexOf(field)] as number;
  }

  /** Takes over what the rules say now. */
  update(rules: LinkRules): void {
    for (let from = 0; from < this.#places; from += 1) {
      for (let to = 0; to < this.#places; to += 1) {
        const { latencyMs, jitterMs, lossRate, reorderRate, duplicateRate, bytesPerMs } =
          rules.quality(from, to);
        const isCut = rules.isCut(from, to) ? 1 : 0;
        this.#cells.set(
          [isCut, latencyMs, jitterMs, lossRate, reorderRate, duplicateRate, bytesPerMs],
          this.#at(from, to),
        );
      }
    }
  }

  #at(from: number, to: number): number {
    return (from * this.#places + to) * FIELDS.length;
  }
}
