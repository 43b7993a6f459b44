import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlockKey } from '../../src/block/block-key.ts';
import { blockIdOf } from '../../src/block/block-key.ts';
import { BlockIndex, FoundLease } from '../../src/store/block-index.ts';

const lease = { slot: 7, generation: -2_147_483_647 };

describe('block index', () => {
  it('finds what was published, in another view too, by the whole key', () => {
    const index = BlockIndex.create(64);
    const keys: BlockKey[] = [
      { sliceId: 0n, index: 0, sizeBytes: 1 },
      { sliceId: 2n ** 64n - 1n, index: 999_999, sizeBytes: 16 * 1024 * 1024 },
      { sliceId: 2n ** 53n + 1n, index: 0, sizeBytes: 5 },
      { sliceId: 2n ** 32n, index: 0, sizeBytes: 5 },
    ];
    keys.forEach((key, slot) => index.publish(key, { slot, generation: 1 }));
    const other = BlockIndex.attach(index.shared);
    const found = new FoundLease();
    keys.forEach((key, slot) => {
      expect(other.find(key, found)).toBe(true);
      expect(found).toEqual({ slot, generation: 1 });
      expect(other.find({ ...key, index: key.index + 1 }, found)).toBe(false);
      expect(other.find({ ...key, sizeBytes: key.sizeBytes + 1 }, found)).toBe(false);
      expect(other.find({ ...key, sliceId: key.sliceId ^ (1n << 53n) }, found)).toBe(false);
      expect(other.find({ ...key, sliceId: key.sliceId ^ (1n << 33n) }, found)).toBe(false);
    });
  });

  it('forgets a block with its lease, but not under another lease', () => {
    const index = BlockIndex.create(8);
    const key: BlockKey = { sliceId: 5n, index: 1, sizeBytes: 9 };
    const found = new FoundLease();
    index.publish(key, lease);
    index.publish(key, { slot: 8, generation: 1 });
    index.retract(key, lease);
    expect(index.find(key, found)).toBe(true);
    expect(found.slot).toBe(8);
    index.retract(key, { slot: 8, generation: 1 });
    expect(index.find(key, found)).toBe(false);
    index.retract(key, lease);
  });

  it('may lose entries, and never invents one', () => {
    expect.hasAssertions();
    const action = fc.record({
      retract: fc.boolean(),
      sliceId: fc.bigInt({ min: 1n, max: 12n }),
      index: fc.integer({ min: 0, max: 3 }),
      slot: fc.nat(1000),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const index = BlockIndex.create(16);
        const model = new Map<string, number>();
        for (const { retract, slot, ...rest } of actions) {
          const key = { ...rest, sizeBytes: 100 };
          const before = model.get(blockIdOf(key));
          if (!retract) {
            index.publish(key, { slot, generation: 1 });
            model.set(blockIdOf(key), slot);
          } else if (before !== undefined) {
            index.retract(key, { slot: before, generation: 1 });
            model.delete(blockIdOf(key));
          }
        }
        const found = new FoundLease();
        for (let sliceId = 1n; sliceId <= 12n; sliceId += 1n) {
          for (let block = 0; block <= 3; block += 1) {
            const key = { sliceId, index: block, sizeBytes: 100 };
            const isRight = !index.find(key, found) || model.get(blockIdOf(key)) === found.slot;
            expect(isRight).toBe(true);
          }
        }
      }),
    );
  });
});
