import type { SizeClasses } from './size-classes.ts';
import { Slab } from './slab.ts';

/** A slot in use. */
export interface Room<Entry> {
  readonly slab: Slab<Entry>;
  /** Number of the slot in its slab. */
  readonly slot: number;
}

/**
 * Hands out the slots of a fixed number of slabs. A slab belongs to one size class from its first
 * slot in use to its last. Only numbers: the memory itself is the tier's. All steps are O(1).
 */
export class Arena<Entry> {
  readonly classes: SizeClasses;
  readonly #freeSlabs: number[] = [];
  /** By class: the slabs cut for it. */
  readonly #slabs: Slab<Entry>[][];
  /** By class: those with a free slot. */
  readonly #partial: Set<Slab<Entry>>[];

  /** @param slabs - how many slabs the memory holds */
  constructor(classes: SizeClasses, slabs: number) {
    this.classes = classes;
    this.#slabs = classes.sizes.map(() => []);
    this.#partial = classes.sizes.map(() => new Set());
    for (let number = slabs - 1; number >= 0; number -= 1) this.#freeSlabs.push(number);
  }

  /** Slabs that are cut for a class, in no order. */
  slabsOf(classIndex: number): readonly Slab<Entry>[] {
    return this.#slabs[classIndex] as Slab<Entry>[];
  }

  /** @returns undefined when no slot of the class and no slab is free */
  take(classIndex: number): Room<Entry> | undefined {
    const partial = this.#partial[classIndex] as Set<Slab<Entry>>;
    for (const slab of partial) {
      const slot = slab.take();
      if (!slab.hasFree) partial.delete(slab);
      return { slab, slot };
    }
    const number = this.#freeSlabs.pop();
    if (number === undefined) return undefined;
    const slab = new Slab<Entry>(number, classIndex, this.classes.slotsPerSlab(classIndex));
    const slabs = this.#slabs[classIndex] as Slab<Entry>[];
    slab.position = slabs.length;
    slabs.push(slab);
    const slot = slab.take();
    if (slab.hasFree) partial.add(slab);
    return { slab, slot };
  }

  /** Takes a slot back; a slab without any in use becomes free for every class. */
  giveBack(room: Room<Entry>): void {
    const { slab } = room;
    const partial = this.#partial[slab.classIndex] as Set<Slab<Entry>>;
    slab.giveBack(room.slot);
    if (!slab.isEmpty) {
      partial.add(slab);
      return;
    }
    partial.delete(slab);
    const slabs = this.#slabs[slab.classIndex] as Slab<Entry>[];
    const last = slabs.pop() as Slab<Entry>;
    if (last !== slab) {
      slabs[slab.position] = last;
      last.position = slab.position;
    }
    this.#freeSlabs.push(slab.number);
  }
}
