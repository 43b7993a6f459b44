import { seededRandom } from './seeded-random.ts';

/** A trace: items in the order of their use. */
export interface Trace {
  readonly name: string;
  /** Distinct items of the working set; the cache is given as a share of it. */
  readonly items: number;
  /** Uses that warm the cache and are not counted. */
  readonly warmUp: number;
  uses(): Generator<number>;
}

const ITEMS = 20_000;

/** Every item once per epoch, in a new random order each time: training on small files. */
export function shuffledEpochs(epochs: number): Trace {
  return {
    name: 'shuffled small-file epochs',
    items: ITEMS,
    warmUp: ITEMS,
    *uses() {
      const random = seededRandom(11);
      for (let epoch = 0; epoch < epochs; epoch += 1) yield* shuffled(ITEMS, random);
    },
  };
}

/** Every item in the same order, again and again. */
export function sequentialLoop(rounds: number): Trace {
  return {
    name: 'sequential re-read loop',
    items: ITEMS,
    warmUp: ITEMS,
    *uses() {
      for (let round = 0; round < rounds; round += 1) {
        for (let item = 0; item < ITEMS; item += 1) yield item;
      }
    },
  };
}

/** A database: every leaf once per epoch at random, and inner pages of zipf popularity between. */
export function databaseEpochs(epochs: number): Trace {
  const inner = ITEMS / 4;
  return {
    name: 'LMDB-like zipf and random epochs',
    items: ITEMS,
    warmUp: 2 * (ITEMS - inner),
    *uses() {
      const random = seededRandom(12);
      const draw = zipf(inner, 0.9, random);
      for (let epoch = 0; epoch < epochs; epoch += 1) {
        for (const leaf of shuffled(ITEMS - inner, random)) {
          yield draw();
          yield inner + leaf;
        }
      }
    },
  };
}

/** A hot set of zipf popularity, and beside it a scan over things that never come back. */
export function scanBesideHotSet(length: number): Trace {
  return {
    name: 'scan beside a hot set',
    items: ITEMS,
    warmUp: length / 5,
    *uses() {
      const random = seededRandom(13);
      const draw = zipf(ITEMS, 0.9, random);
      for (let use = 0; use < length; use += 1) yield use % 2 === 0 ? draw() : ITEMS + use;
    },
  };
}

/** One dataset of shuffled epochs is left for another one that is of the same size. */
export function changedDataset(epochs: number): Trace {
  return {
    name: 'another dataset, shuffled epochs',
    items: ITEMS,
    warmUp: (epochs + 1) * ITEMS,
    *uses() {
      const random = seededRandom(14);
      for (let epoch = 0; epoch < 2 * epochs; epoch += 1) {
        const first = epoch < epochs ? 0 : ITEMS;
        for (const item of shuffled(ITEMS, random)) yield first + item;
      }
    },
  };
}

/** Items of zipf popularity alone, drawn independently: what every policy should do well. */
export function zipfOnly(length: number): Trace {
  return {
    name: 'zipf 0.9',
    items: ITEMS,
    warmUp: length / 5,
    *uses() {
      const draw = zipf(ITEMS, 0.9, seededRandom(15));
      for (let use = 0; use < length; use += 1) yield draw();
    },
  };
}

function shuffled(count: number, random: () => number): number[] {
  const items = Array.from({ length: count }, (_, index) => index);
  for (let at = count - 1; at > 0; at -= 1) {
    const other = Math.floor(random() * (at + 1));
    const moved = items[at] as number;
    items[at] = items[other] as number;
    items[other] = moved;
  }
  return items;
}

function zipf(count: number, exponent: number, random: () => number): () => number {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank += 1) {
    sum += 1 / (rank + 1) ** exponent;
    sums[rank] = sum;
  }
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] as number) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
