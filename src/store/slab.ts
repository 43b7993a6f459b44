/** A piece of the arena, cut into slots of one size class. `Entry` is what a slot caches. */
export class Slab<Entry> {
  /** Place in the arena, from 0. */
  readonly number: number;
  readonly classIndex: number;
  /** What is cached in each slot. */
  readonly entries: (Entry | undefined)[];
  /** Slots that hold a cached block. */
  cached = 0;
  /** Place in the arena's list of slabs of this class. */
  position = -1;
  readonly #free: number[] = [];

  constructor(number: number, classIndex: number, slots: number) {
    this.number = number;
    this.classIndex = classIndex;
    this.entries = Array.from<Entry | undefined>({ length: slots });
    for (let slot = slots - 1; slot >= 0; slot -= 1) this.#free.push(slot);
  }

  get hasFree(): boolean {
    return this.#free.length > 0;
  }

  get isEmpty(): boolean {
    return this.#free.length === this.entries.length;
  }

  /** Whether every slot in use is that of a cached block, so that evicting these frees the slab. */
  get isAllCached(): boolean {
    return this.entries.length - this.#free.length === this.cached;
  }

  /** Takes a free slot; there must be one. */
  take(): number {
    return this.#free.pop() as number;
  }

  giveBack(slot: number): void {
    this.#free.push(slot);
  }
}
