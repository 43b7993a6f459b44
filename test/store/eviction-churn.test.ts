import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import type { BlockId } from '../../src/block/block-key.ts';
import type { LeaseRef } from '../../src/runtime/lease-table.ts';
import { LeaseTable } from '../../src/runtime/lease-table.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { MemoryTierArena, memorySlotCount } from '../../src/store/memory-tier.ts';
import { makeTempDir } from '../servers/temp.ts';
import { blockId, makeDiskTier } from './disk-tier-blocks.ts';
import type { ReaderData } from './lease-reader-worker.ts';

const RECORDS_MAX = 200_000;

/** A worker that pins and reads what it is told of, until it is stopped. */
async function startReader(leases: LeaseTable, arena: SharedArrayBuffer | undefined) {
  const shared: ReaderData = {
    leases: leases.shared,
    arena,
    board: new SharedArrayBuffer(4 + RECORDS_MAX * 12),
    stop: new SharedArrayBuffer(4),
  };
  const board = new Int32Array(shared.board);
  const worker = new Worker(new URL('./lease-reader-worker.ts', import.meta.url), {
    workerData: shared,
  });
  await once(worker, 'online');
  return {
    tell(lease: LeaseRef, value: number) {
      const count = Atomics.load(board, 0);
      if (count === RECORDS_MAX) return;
      board.set([lease.slot, lease.generation, value], 1 + 3 * count);
      Atomics.store(board, 0, count + 1);
    },
    async stop(): Promise<{ pinned: number; wrong: number }> {
      const message = once(worker, 'message');
      Atomics.store(new Int32Array(shared.stop), 0, 1);
      const [result] = (await message) as [{ pinned: number; wrong: number }];
      await worker.terminate();
      return result;
    },
  };
}

describe('eviction while worker threads read', () => {
  it('never shows a worker a wrong byte of the memory tier', async () => {
    const memory = { cacheBytes: 8 * 65_536, bufferBytes: 2 * 65_536, slabBytes: 65_536 };
    const slots = { firstSlot: 5, slotCount: memorySlotCount(memory) };
    const leases = LeaseTable.create(slots.firstSlot + slots.slotCount);
    const tier = new MemoryTierArena({
      memory,
      slots,
      leases,
      libc: undefined,
      metrics: memoryMetrics(),
      random: systemRandom,
      eviction: 'steady',
    });
    const reader = await startReader(leases, tier.memory.buffer);
    const sizes = [3000, 9000, 20_000, 65_536];
    let stored = 0;
    const end = performance.now() + 3000;
    for (let number = 0; performance.now() < end; number += 1) {
      const size = sizes[(number >> 8) % sizes.length] as number;
      const room = tier.reserve(size);
      if (room === undefined) continue;
      stored += 1;
      const value = number % 251;
      room.bytes.fill(value);
      const held = room.commit(`${number}_0_${size}` as BlockId, { keep: number % 5 !== 0 });
      reader.tell(held.lease, value);
      held.release();
    }
    const { pinned, wrong } = await reader.stop();
    expect(wrong).toBe(0);
    expect(pinned).toBeGreaterThan(100);
    expect(stored).toBeGreaterThan(500);
    tier.close();
  }, 60_000);

  it('never shows a worker a wrong byte of the disk tier', async () => {
    const leases = LeaseTable.create(8);
    const { tier } = makeDiskTier([await makeTempDir('churn')], {
      cacheBytes: 500_000,
      openFilesMax: 4,
      leases,
      slots: { firstSlot: 0, slotCount: 8 },
    });
    await tier.start();
    const reader = await startReader(leases, undefined);
    const { signal } = new AbortController();
    let leased = 0;
    const end = performance.now() + 5000;
    for (let number = 0; performance.now() < end; number += 1) {
      const id = blockId(number, 40_000);
      const value = number % 251;
      tier.put(id, new Uint8Array(40_000).fill(value), () => undefined);
      if (number % 4 === 3) await tier.flushed();
      const old = await tier.open(blockId(number - 3, 40_000), signal);
      if (old === undefined) continue;
      if (old.lease !== undefined) {
        leased += 1;
        reader.tell(old.lease, (number - 3) % 251);
      }
      old.release();
    }
    const { pinned, wrong } = await reader.stop();
    expect(wrong).toBe(0);
    expect(pinned).toBeGreaterThan(10);
    expect(leased).toBeGreaterThan(10);
    await tier.stop();
  }, 60_000);
});
