import { describe, expect, it, onTestFinished } from 'vitest';
import { createWriterWithUpkeep } from '../../src/meta/create-writer.ts';
import { ROOT_INO, toIno, TRASH_INO } from '../../src/posix/ino.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import type { SettingFields } from '../servers/empty-volume.ts';
import { testEngine } from './meta-engine-options.ts';
import { type MakeVolume, text, WriterBench } from './writer-bench.ts';

const DAY_MS = 86_400_000;
const SIGNAL = new AbortController().signal;

/** The work behind a volume. */
export function upkeepContract(make: MakeVolume): void {
  describe('upkeep', () => {
    deletingContract(make);
    sessionsContract(make);
    compactionContract(make);
  });
}

/** A volume with a writer of today, and upkeep that is done some days later. */
async function open(make: MakeVolume, fields: SettingFields, days: number) {
  const volume = await make(fields);
  const bench = await WriterBench.on(volume);
  const wallMs = () => Date.now() + days * DAY_MS;
  const engine = testEngine(volume.metaUrl, { wallMs });
  await engine.start();
  const removed: string[] = [];
  const failing = new Set<string>();
  const { upkeep, writer } = await createWriterWithUpkeep(
    {
      ...{ engine, clock: { ...systemClock, wallMs }, random: systemRandom, logger: silentLogger },
      ...{ metrics: memoryMetrics(), sid: () => undefined },
      objects: {
        removeSlice: async ({ id, size }) => {
          if (failing.delete(`${id}_${size}`)) throw new Error('the object store is away');
          removed.push(`${id}_${size}`);
        },
      },
    },
    SIGNAL,
  );
  onTestFinished(async () => {
    await upkeep.stop();
    await engine.stop();
    await bench.stop();
    await volume.stop();
  });
  return { bench, upkeep, writer, removed, failing };
}

function deletingContract(make: MakeVolume): void {
  it('deletes the data of files that are gone, shared slices with their last reference', async () => {
    const { bench, upkeep, removed } = await open(make, {}, 1);
    const ino = await bench.file('f');
    const own = await bench.write(ino, 0, 5000);
    const shared = await bench.write(ino, 2 ** 26, 3000);
    const copy = await bench.file('copy');
    const range = {
      from: { ino, offset: BigInt(2 ** 26) },
      to: { ino: copy, offset: 0n },
      length: 10n,
    };
    await bench.writer.copyFileRange(range, bench.root);
    await bench.writer.unlink({ parent: ROOT_INO, name: text('f') }, bench.root);
    await upkeep.runJobs(SIGNAL);
    expect(removed).toEqual([`${own}_5000`]);
    const left = await bench.sound();
    expect([...left.chunks.keys()]).toEqual([`${copy}_0`]);
    expect(left.deleted.size).toBe(0);
    await bench.writer.unlink({ parent: ROOT_INO, name: text('copy') }, bench.root);
    await upkeep.runJobs(SIGNAL);
    expect(removed).toHaveLength(1);
    upkeep.noteDeleted(copy, 10n);
    await upkeep.settle();
    expect(removed).toEqual([`${own}_5000`, `${shared}_3000`]);
    expect((await bench.sound()).refs.get(`${shared}_3000`)).toBeUndefined();
  });

  it('deletes what was cut off a file before, chunks behind its end, too', async () => {
    const { bench, upkeep, removed } = await open(make, {}, 1);
    const ino = await bench.file('f');
    const sizes = [5000, 4000, 3000, 2000, 1000, 900, 800];
    const slices: string[] = [];
    for (const [index, size] of sizes.entries()) {
      slices.push(`${await bench.write(ino, index * 2 ** 26, size)}_${size}`);
    }
    await bench.writer.truncate(ino, 0n, bench.root);
    const short = await bench.file('short');
    slices.push(`${await bench.write(short, 0, 700)}_700`);
    await bench.writer.truncate(short, 0n, bench.root);
    for (const name of ['f', 'short']) {
      await bench.writer.unlink({ parent: ROOT_INO, name: text(name) }, bench.root);
    }
    await upkeep.runJobs(SIGNAL);
    expect(removed.toSorted()).toEqual(slices.toSorted());
    expect((await bench.sound()).chunks.size).toBe(0);
  });

  it('finds what lies far apart in a huge file', async () => {
    const { bench, upkeep, removed } = await open(make, {}, 1);
    const ino = await bench.file('sparse');
    const ids = [await bench.write(ino, 5, 10), await bench.write(ino, 2 ** 50 + 7, 10)];
    await bench.writer.unlink({ parent: ROOT_INO, name: text('sparse') }, bench.root);
    await upkeep.runJobs(SIGNAL);
    expect(removed.toSorted()).toEqual(ids.map((id) => `${id}_10`));
    expect((await bench.sound()).chunks.size).toBe(0);
  });

  it('objects that could not be removed are found again', async () => {
    const { bench, upkeep, removed, failing } = await open(make, {}, 1);
    const ino = await bench.file('f');
    const id = await bench.write(ino, 0, 5000);
    await bench.writer.unlink({ parent: ROOT_INO, name: text('f') }, bench.root);
    failing.add(`${id}_5000`);
    await expect(upkeep.runJobs(SIGNAL)).rejects.toThrow('away');
    expect((await bench.sound()).refs.get(`${id}_5000`)).toBe(0);
    await upkeep.runJobs(SIGNAL);
    expect(removed).toEqual([`${id}_5000`]);
    expect((await bench.sound()).refs.size).toBe(0);
  });

  it('empties the trash when its days are over', async () => {
    const { bench, upkeep, removed } = await open(make, { TrashDays: 1 }, 3);
    const dir = await bench.mkdir('d');
    const ino = await bench.file('f', dir);
    const id = await bench.write(ino, 0, 5000);
    await bench.writer.link(ino, { parent: dir, name: text('g') }, bench.root);
    const at = (name: string, parent = dir) => ({ parent: toIno(parent), name: text(name) });
    await bench.writer.unlink(at('f'), bench.root);
    await bench.writer.unlink(at('g'), bench.root);
    await bench.writer.rmdir(at('d', ROOT_INO), bench.root);
    await upkeep.runJobs(SIGNAL);
    await upkeep.settle();
    expect(removed).toEqual([`${id}_5000`]);
    const state = await bench.sound();
    expect(new Set(state.nodes.keys())).toEqual(new Set([ROOT_INO, TRASH_INO]));
    expect([state.usedSpace, state.totalInodes]).toEqual([0n, 0n]);
  });
}

function sessionsContract(make: MakeVolume): void {
  it('closes no session of a volume that has taken the place of its own', async () => {
    const { bench, upkeep, writer } = await open(make, {}, 0);
    await bench.volume.change({ UUID: '11111111-2222-3333-4444-555555555555' });
    await expect(writer.refresh(SIGNAL)).rejects.toThrow('another volume');
    const before = await bench.volume.state();
    await expect(upkeep.closeSession(bench.sid, SIGNAL)).rejects.toThrow('another volume');
    expect(await bench.volume.state()).toEqual(before);
  });

  it('cleans up after a client that is gone, once', async () => {
    const { bench, upkeep, removed } = await open(make, {}, 1);
    const ino = await bench.file('f');
    const id = await bench.write(ino, 0, 5000);
    bench.writer.opened(ino);
    await bench.writer.unlink({ parent: ROOT_INO, name: text('f') }, bench.root);
    const held = await bench.file('held');
    await bench.writer.flock(held, { owner: 1n, type: 'write', wait: false }, SIGNAL);
    await bench.writer.setRangeLock(
      held,
      { owner: 1n, range: { type: 'read', start: 0n, end: 9n, pid: 1 }, wait: false },
      SIGNAL,
    );
    await upkeep.cleanSessions(SIGNAL);
    await upkeep.settle();
    const state = await bench.sound();
    expect([state.sustained, state.locks]).toEqual([[], []]);
    expect(state.nodes.has(ino)).toBe(false);
    expect(await bench.engine.listSessions(SIGNAL)).toEqual([]);
    expect(removed).toEqual([`${id}_5000`]);
    await bench.writer.closed(ino, SIGNAL);
    await bench.sound();
  });
}

function compactionContract(make: MakeVolume): void {
  const prepare = async (fields: SettingFields) => {
    const opened = await open(make, fields, 3);
    const { bench } = opened;
    const ino = await bench.file('f', ROOT_INO, 4_000_000);
    const parts = [await bench.write(ino, 4_000_000, 50), await bench.write(ino, 4_000_020, 50)];
    const read = await bench.engine.readChunk(ino, 0, SIGNAL);
    const id = await bench.writer.newSliceId(SIGNAL);
    const by = { pos: 4_000_000, id, size: 70 };
    const compact = async (records = read) => {
      const rules = { trashDays: Number(fields['TrashDays'] ?? 0) };
      const context = { sid: undefined, rules: { ...NO_RULES, ...rules } };
      const options = { context, open: new Map(), target: ino, turns: [ino], signal: SIGNAL };
      const args = { ino, index: 0, read: records, skipped: 1, by };
      const { result } = await bench.engine.transactions.transact('compactChunk', args, options);
      return result;
    };
    return { ...opened, ino, parts, read, id, compact };
  };

  it('one slice takes the place of many, which go at once without a trash', async () => {
    const { bench, ino, parts, read, id, compact } = await prepare({});
    await bench.write(ino, 10, 5);
    const { isDone, unused } = await compact();
    expect(isDone).toBe(true);
    expect(unused.map((slice) => slice.id)).toEqual(parts);
    const { chunks } = await bench.sound();
    expect(chunks.get(`${ino}_0`)?.slice(0, 2)).toEqual([
      read[0],
      { pos: 4_000_000, sliceId: id, size: 70, off: 0, len: 70 },
    ]);
  });

  it('with a trash they wait for its days', async () => {
    const { bench, parts, compact, upkeep, removed } = await prepare({ TrashDays: 1 });
    expect(await compact()).toEqual({ isDone: true, unused: [] });
    expect((await bench.sound()).delayed).toHaveLength(2);
    await upkeep.runJobs(SIGNAL);
    expect(removed).toEqual(parts.map((part) => `${part}_50`));
    expect((await bench.sound()).delayed).toEqual([]);
  });

  it('a compactor shortens a chunk, and removes what it replaced', async () => {
    const { bench, ino, parts, id, upkeep, removed } = await prepare({});
    const sizes: number[] = [];
    const compactor = upkeep.compactor({
      makeSlice: async ({ size }) => {
        sizes.push(size);
        return id;
      },
    });
    expect(await compactor.compact(ino, 0, SIGNAL)).toBe(true);
    expect(sizes).toEqual([70]);
    expect((await bench.sound()).chunks.get(`${ino}_0`)).toHaveLength(2);
    expect(removed).toEqual(parts.map((part) => `${part}_50`));
    expect(await compactor.compact(ino, 0, SIGNAL)).toBe(false);
  });

  it('who comes too late changes nothing, and its slice is known as unused', async () => {
    const { bench, ino, read, id, compact, upkeep, removed } = await prepare({});
    const late = read.map((record) => ({ ...record, len: record.len - 1 }));
    expect(await compact(late)).toEqual({ isDone: false, unused: [] });
    const { chunks, refs } = await bench.sound();
    expect(chunks.get(`${ino}_0`)).toEqual(read);
    expect(refs.get(`${id}_70`)).toBe(0);
    await upkeep.runJobs(SIGNAL);
    expect(removed).toEqual([`${id}_70`]);
  });
}

const NO_RULES = {
  ...{ trashDays: 0, capacityBytes: 0n, inodesMax: 0n, dirStats: true, hasDirQuotas: false },
  ...{ ownerQuotas: false, enableAcl: false, skipDirMtimeMs: 0 },
};
