import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type NodeId, toNodeId } from '../../../src/block/node-id.ts';
import { type Batch, OwnerLanes } from '../../../src/mesh/warm/owner-lanes.ts';

interface Item {
  readonly key: { sliceId: bigint; index: number; sizeBytes: number };
}

const LIMITS = {
  batchesPerOwner: 3,
  batchBlocksMax: 5,
  batchBytesMax: 100,
  lowBlocks: 4,
  lowBytes: 60,
};
const A = toNodeId('a');
const B = toNodeId('b');

function item(index: number, sizeBytes = 10): Item {
  return { key: { sliceId: 1n, index, sizeBytes } };
}

describe('lanes of blocks by owner', () => {
  test('an idle owner gets a block at once, a busy one gets what has gathered', () => {
    const lanes = new OwnerLanes<Item>(LIMITS);
    const first = item(0, 60);
    lanes.add(A, first);
    expect(lanes.take()?.items).toEqual([first]);
    lanes.add(A, item(1));
    lanes.add(A, item(2));
    expect(lanes.take()).toBeUndefined();
    expect(lanes.waiting).toBe(2);
    lanes.settle(A, first);
    lanes.close(A);
    expect(lanes.take()?.items).toEqual([item(1), item(2)]);
  });

  test('a full batch goes also to a busy owner, as far as it has a free place', () => {
    const lanes = new OwnerLanes<Item>(LIMITS);
    for (let at = 0; at < 30; at += 1) lanes.add(A, item(at, 50));
    const batches = [lanes.take(), lanes.take(), lanes.take()];
    expect(batches.map((batch) => batch?.items.length)).toEqual([2, 2, 2]);
    expect(lanes.take()).toBeUndefined();
  });

  test('owners take turns', () => {
    const lanes = new OwnerLanes<Item>(LIMITS);
    for (let at = 0; at < 10; at += 1) lanes.add(A, item(at));
    lanes.add(B, item(10));
    expect([lanes.take()?.owner, lanes.take()?.owner]).toEqual([A, B]);
  });

  test('what waits for an owner can be taken back', () => {
    const lanes = new OwnerLanes<Item>(LIMITS);
    for (let at = 0; at < 8; at += 1) lanes.add(A, item(at));
    lanes.take();
    expect(lanes.drop(A)).toHaveLength(3);
    expect(lanes.waiting).toBe(0);
    expect(lanes.drop(B)).toEqual([]);
    expect(lanes.take()).toBeUndefined();
    expect(lanes.busyOwners()).toEqual([A]);
  });

  test('every block comes out once, whatever the order, and no limit is passed', () => {
    const sizes = fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 150 })), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(sizes, fc.infiniteStream(fc.nat(2)), (blocks, choices) => {
        const lanes = new OwnerLanes<Item>(LIMITS);
        const running: Batch<Item>[] = [];
        const seen = new Set<Item>();
        const end = () => {
          const batch = running.shift();
          batch?.items.forEach((each) => lanes.settle(batch.owner, each));
          if (batch !== undefined) lanes.close(batch.owner);
        };
        const begin = () => {
          const batch = lanes.take();
          if (batch === undefined) return false;
          running.push(batch);
          expect(batch.items.length).toBeLessThanOrEqual(LIMITS.batchBlocksMax);
          const bytes = batch.items.reduce((sum, each) => sum + each.key.sizeBytes, 0);
          expect(batch.items.length === 1 || bytes <= LIMITS.batchBytesMax).toBe(true);
          for (const each of batch.items) {
            expect(seen.has(each)).toBe(false);
            seen.add(each);
          }
          const own = running.filter(({ owner }) => owner === batch.owner).length;
          expect(own).toBeLessThanOrEqual(LIMITS.batchesPerOwner);
          return true;
        };
        blocks.forEach(([owner, sizeBytes], index) => {
          lanes.add(`owner-${owner}` as NodeId, item(index, sizeBytes));
          const choice = choices.next().value;
          if (choice === 0) begin();
          else if (choice === 1) end();
        });
        // Nothing may be stuck: with all batches ended there is always a next one.
        while (running.length > 0 || lanes.waiting > 0) {
          const isStuck = !begin() && running.length === 0;
          expect(isStuck).toBe(false);
          end();
        }
        expect(seen.size).toBe(blocks.length);
        expect(lanes.busyOwners()).toEqual([]);
      }),
    );
  });
});
