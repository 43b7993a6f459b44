import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { LeaseKind, LeaseTable } from '../../src/runtime/lease-table.ts';
import type { StressData } from './lease-stress-worker.ts';

const info = { kind: LeaseKind.memory, location: 2 ** 46 + 4096, lengthBytes: 5 };

describe('lease table', () => {
  it('shows what was published to whoever pins it', () => {
    const owner = LeaseTable.create(3);
    const { slot, generation } = owner.publish(2, info);
    const reader = LeaseTable.attach(owner.shared);
    expect(reader.capacity).toBe(3);
    expect(reader.pin(slot, generation)).toBe(true);
    expect(reader.kind(slot)).toBe(LeaseKind.memory);
    expect(reader.location(slot)).toBe(info.location);
    expect(reader.lengthBytes(slot)).toBe(5);
    expect(owner.isPinned(slot)).toBe(true);
    reader.unpin(slot);
    expect(owner.isPinned(slot)).toBe(false);
  });

  it('refuses pins of free slots, other generations and retired leases, and leaves no pin behind', () => {
    const table = LeaseTable.create(1);
    expect(table.pin(0, 0)).toBe(false);
    const { generation } = table.publish(0, info);
    expect(table.pin(0, generation + 1)).toBe(false);
    expect(table.retire(0)).toBe(true);
    expect(table.pin(0, generation)).toBe(false);
    expect(table.isPinned(0)).toBe(false);
    const again = table.publish(0, info);
    expect(again.generation).not.toBe(generation);
    expect(table.pin(0, generation)).toBe(false);
    expect(table.pin(0, again.generation)).toBe(true);
  });

  it('says at retirement whether somebody still reads', () => {
    const table = LeaseTable.create(1);
    const { generation } = table.publish(0, info);
    table.pin(0, generation);
    table.pin(0, generation);
    expect(table.retire(0)).toBe(false);
    table.unpin(0);
    expect(table.isPinned(0)).toBe(true);
    table.unpin(0);
    expect(table.isPinned(0)).toBe(false);
  });

  it('tells once that a slot was read, and forgets it with the next publication', () => {
    const table = LeaseTable.create(1);
    const first = table.publish(0, info);
    expect(table.takeVisited(0)).toBe(false);
    table.pin(0, first.generation);
    table.unpin(0);
    expect(table.takeVisited(0)).toBe(true);
    expect(table.takeVisited(0)).toBe(false);
    table.pin(0, first.generation);
    table.unpin(0);
    table.retire(0);
    table.publish(0, info);
    expect(table.takeVisited(0)).toBe(false);
  });

  it('still says to who pinned a lease what it is after it was retired', () => {
    const table = LeaseTable.create(1);
    const { generation } = table.publish(0, info);
    table.pin(0, generation);
    table.retire(0);
    expect(table.kind(0)).toBe(LeaseKind.memory);
    expect(table.location(0)).toBe(info.location);
    expect(table.lengthBytes(0)).toBe(info.lengthBytes);
  });

  it('refuses to retire a free slot', () => {
    expect(() => LeaseTable.create(1).retire(0)).toThrow('only a lease is retired');
  });

  it('refuses to publish a slot twice', () => {
    const table = LeaseTable.create(1);
    table.publish(0, info);
    expect(() => table.publish(0, info)).toThrow('a slot is published once');
  });

  it('never lets the owner reuse bytes under a reader of another thread', async () => {
    const slots = 4;
    const words = 64;
    const table = LeaseTable.create(slots);
    const shared: StressData = {
      leases: table.shared,
      board: new SharedArrayBuffer(slots * 4),
      memory: new SharedArrayBuffer(slots * words * 4),
      words,
      stop: new SharedArrayBuffer(4),
    };
    const board = new Int32Array(shared.board);
    const memory = new Int32Array(shared.memory);
    const publish = (slot: number, publication: number) => {
      // A publication and a retirement raise the generation by one each.
      const generation = 2 * publication + 1;
      memory.fill(generation, slot * words, (slot + 1) * words);
      expect(
        table.publish(slot, { kind: LeaseKind.memory, location: slot, lengthBytes: words })
          .generation,
      ).toBe(generation);
      Atomics.store(board, slot, generation);
    };
    for (let slot = 0; slot < slots; slot += 1) publish(slot, 0);
    const workers = [1, 2].map(
      () =>
        new Worker(new URL('./lease-stress-worker.ts', import.meta.url), { workerData: shared }),
    );
    await Promise.all(workers.map((worker) => once(worker, 'online')));
    let late = 0;
    const end = performance.now() + 2000;
    for (let generation = 1; performance.now() < end; generation += 1) {
      for (let slot = 0; slot < slots; slot += 1) {
        if (!table.retire(slot)) late += 1;
        while (table.isPinned(slot));
        publish(slot, generation);
      }
    }
    Atomics.store(new Int32Array(shared.stop), 0, 1);
    const results = await Promise.all(workers.map((worker) => once(worker, 'message')));
    for (const [{ pinned, wrong }] of results) {
      expect(wrong).toBe(0);
      expect(pinned).toBeGreaterThan(1000);
    }
    // Otherwise the threads never met, and the test showed nothing.
    expect(late).toBeGreaterThan(0);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }, 60_000);
});
