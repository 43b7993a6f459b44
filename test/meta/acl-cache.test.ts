import { expect, it } from 'vitest';
import { AclCache } from '../../src/meta/acl-cache.ts';

const rule = (owner: number) => ({
  owner,
  group: 0,
  mask: 0xffff,
  other: 0,
  users: [],
  groups: [],
});

it('reads each rule once, absent ones each time, and stays small', async () => {
  const cache = new AclCache();
  let reads = 0;
  const read = (id: number) => async () => {
    reads += 1;
    return id === 0 ? undefined : rule(id);
  };
  expect(await cache.get(1, read(1))).toEqual(rule(1));
  expect(await cache.get(1, read(1))).toEqual(rule(1));
  expect(reads).toBe(1);
  expect(await cache.get(2, read(0))).toBeUndefined();
  expect(await cache.get(2, read(2))).toEqual(rule(2));
  expect(reads).toBe(3);
  for (let id = 3; id < 5000; id += 1) await cache.get(id, read(id));
  const before = reads;
  await cache.get(1, read(1));
  expect(reads).toBe(before + 1);
});
