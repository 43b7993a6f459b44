import type { ObjectStore } from '../../src/store/object-store.ts';
import { discardChunks } from '../../src/store/chunk-stream.ts';
import type { Canary } from './canary.ts';

/** Every eighth GET is sent twice. */
const EVERY = 8;

/** The origin is asked twice for the same bytes. */
export const doubleFetch: Canary = {
  about: 'every eighth request to the origin is made twice at once',
  plant: () => ({ planting: { store: doubling }, uproot: () => undefined }),
};

function doubling(right: ObjectStore): ObjectStore {
  let count = 0;
  return {
    ...right,
    async get(key, range, signal) {
      count += 1;
      const body = right.get(key, range, signal);
      if (count % EVERY !== 0) return body;
      const [first, second] = await Promise.all([body, right.get(key, range, signal)]);
      await discardChunks(second.chunks);
      return first;
    },
  };
}
