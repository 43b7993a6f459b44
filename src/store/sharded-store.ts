import assert from 'node:assert/strict';
import { shardOf } from '../block/object-key.ts';
import { type ObjectInfo, type ObjectStore, StoreError } from './object-store.ts';

/** Spreads objects over several stores by a hash of their full key, as JuiceFS does. */
export function shardedStore(stores: readonly ObjectStore[]): ObjectStore {
  const [first] = stores;
  assert(first !== undefined, 'no stores');
  const storeOf = (key: string) => stores[shardOf(key, stores.length)] as ObjectStore;
  return {
    displayName: `shard${stores.length}://${first.displayName}`,
    get: (key, range, signal) => storeOf(key).get(key, range, signal),
    head: (key, signal) => storeOf(key).head(key, signal),
    put: (key, body, signal) => storeOf(key).put(key, body, signal),
    delete: (key, signal) => storeOf(key).delete(key, signal),
    list: (prefix, signal) => mergeByKey(stores.map((store) => store.list(prefix, signal))),
    close: async () => void (await Promise.all(stores.map((store) => store.close()))),
  };
}

/**
 * The bucket of one shard: `%d` is replaced by its number.
 *
 * @throws StoreError (`bad-config`) when the pattern has not exactly one `%d`
 */
export function shardBucket(pattern: string, shard: number): string {
  if (pattern.split('%d').length !== 2) {
    throw new StoreError('bad-config', `bucket '${pattern}' of a sharded volume needs one %d`);
  }
  return pattern.replace('%d', String(shard));
}

async function* mergeByKey(lists: AsyncIterable<ObjectInfo>[]): AsyncIterable<ObjectInfo> {
  const sources = lists.map((list) => list[Symbol.asyncIterator]());
  try {
    const heads = await Promise.all(sources.map((source) => source.next()));
    for (;;) {
      let least = -1;
      let item: ObjectInfo | undefined;
      heads.forEach((head, index) => {
        if (head.done === true || (item !== undefined && item.key <= head.value.key)) return;
        item = head.value;
        least = index;
      });
      if (item === undefined) return;
      yield item;
      heads[least] = await (sources[least] as AsyncIterator<ObjectInfo>).next();
    }
  } finally {
    await Promise.all(sources.map(async (source) => source.return?.()));
  }
}
