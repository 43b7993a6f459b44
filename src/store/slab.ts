/** A piece of the arena, cut into slots of one size class. `Entry` is what a slot caches. */
export class Slab<Entry> {
  /** Place in the arena, from 0. */
  readonly number: number;
  readonly classIndex: number;
  /** What is cached in each slot; grows with the slots in use. */
  readonly entries: (Entry | undefined)[] = [];
  /** Slots that hold a cached block. */
  cached = 0;
  /** Place in the arena's list of slabs of this class. */
  position = -1;
  readonly #slots: number;
  /** Slots that were given back; those from `#untouched` on were never taken. */
  readonly #free: number[] = [];
  #untouched = 0;

  /** Costs the same for one slot and for a thousand: slabs are often cut for a moment only. */
  constructor(number: number, classIndex: number, slots: number) {
    this.number = number;
    this.classIndex = classIndex;
    this.#slots = slots;
  }

  get hasFree(): boolean {
    return this.#free.length > 0 || this.#untouched < this.#slots;
  }

  get isEmpty(): boolean {
    return this.#used === 0;
  }

  /** Whether every slot in use is that of a cached block, so that evicting these frees the slab. */
  get isAllCached(): boolean {
    return this.#used === this.cached;
  }

  /** Takes a free slot; there must be one. */
  take(): number {
    const slot = this.#free.pop();
    if (slot !== undefined) return slot;
    this.#untouched += 1;
    return this.#untouched - 1;
  }

  giveBack(slot: number): void {
    this.#free.push(slot);
  }

  get #used(): number {
    return this.#untouched - this.#free.length;
  }
}
