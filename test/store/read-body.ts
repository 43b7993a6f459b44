import type { ObjectBody } from '../../src/store/object-store.ts';

/** Everything that `items` yields. */
export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** All bytes of a body. */
export async function readBody(body: ObjectBody): Promise<Buffer> {
  return Buffer.concat(await collect(body.chunks));
}
