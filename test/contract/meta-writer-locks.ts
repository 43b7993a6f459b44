import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LOCK_END_MAX, type LockType } from '../../src/meta/file-lock.ts';
import { type Ino, ROOT_INO } from '../../src/posix/ino.ts';
import { type MakeVolume, WriterBench, type WriterVolume } from './writer-bench.ts';

/** Locks, between owners of one mount and between mounts. */
export function locksContract(make: MakeVolume): void {
  describe('locks', () => {
    let volume: WriterVolume;
    let [here, there]: (WriterBench | undefined)[] = [];
    let ino: Ino;
    beforeAll(async () => {
      volume = await make();
      here = await WriterBench.on(volume);
      there = await WriterBench.on(volume);
      ino = await here.file('locked', ROOT_INO, 100);
    });
    afterAll(async () => {
      await here?.stop();
      await there?.stop();
      await volume?.stop();
    });
    const given = (): Both => ({ here: here as WriterBench, there: there as WriterBench, ino });
    flockContract(given);
    rangeContract(given);
    waitingContract(given);
  });
}

type Range = readonly [start: bigint, end: bigint];

interface Both {
  readonly here: WriterBench;
  readonly there: WriterBench;
  readonly ino: Ino;
}

const flock = (bench: WriterBench, ino: Ino, owner: bigint, type: LockType) =>
  bench.writer.flock(ino, { owner, type, wait: false }, bench.root.signal);
const BUSY = { code: 'EAGAIN' };

function flockContract(given: () => Both): void {
  it('many read or one writes, whoever and wherever they are', async () => {
    const { here, there, ino } = given();
    await flock(here, ino, 1n, 'read');
    await flock(here, ino, 0xf89c_1995_b86c_eed4n, 'read');
    await flock(there, ino, 1n, 'read');
    await expect(flock(there, ino, 1n, 'write')).rejects.toMatchObject(BUSY);
    await flock(here, ino, 1n, 'unlock');
    await flock(here, ino, 0xf89c_1995_b86c_eed4n, 'unlock');
    await flock(there, ino, 1n, 'write');
    await expect(flock(here, ino, 1n, 'read')).rejects.toMatchObject(BUSY);
    expect((await here.volume.state()).locks).toEqual([`f ${ino} ${there.sid}_0000000000000001 W`]);
    await flock(there, ino, 1n, 'read');
    await flock(there, ino, 1n, 'unlock');
    await flock(there, ino, 1n, 'unlock');
    expect((await here.volume.state()).locks).toEqual([]);
  });
}

function rangeContract(given: () => Both): void {
  const set = (bench: WriterBench, owner: bigint, type: LockType, [start, end]: Range) =>
    bench.writer.setRangeLock(
      given().ino,
      { owner, range: { type, start, end, pid: 4321 }, wait: false },
      bench.root.signal,
    );
  const find = (bench: WriterBench, owner: bigint, type: LockType, [start, end]: Range) =>
    bench.writer.findRangeLock(
      given().ino,
      { owner, range: { type, start, end, pid: 1 } },
      bench.root.signal,
    );

  it('ranges conflict where they overlap, and are told', async () => {
    const { here, there, ino } = given();
    await set(here, 1n, 'write', [0n, 99n]);
    await set(here, 1n, 'read', [200n, LOCK_END_MAX]);
    await set(there, 1n, 'read', [500n, 600n]);
    await set(there, 1n, 'write', [100n, 199n]);
    await expect(set(there, 1n, 'write', [199n, 200n])).rejects.toMatchObject(BUSY);
    await expect(set(here, 2n, 'read', [99n, 99n])).rejects.toMatchObject(BUSY);
    const first = { type: 'write', start: 0n, end: 99n };
    expect(await find(here, 2n, 'read', [50n, 60n])).toEqual({ ...first, pid: 4321 });
    expect(await find(there, 1n, 'read', [50n, 60n])).toEqual({ ...first, pid: 0 });
    expect(await find(there, 1n, 'read', [300n, 400n])).toBeUndefined();
    expect(await find(here, 1n, 'write', [0n, 99n])).toBeUndefined();
    await expect(set(here, 1n, 'read', [5n, 4n])).rejects.toMatchObject({ code: 'EINVAL' });
    await set(there, 1n, 'unlock', [0n, LOCK_END_MAX]);
    await set(here, 1n, 'unlock', [50n, LOCK_END_MAX]);
    const record = `00000001000010e1${'0'.repeat(16)}${'31'.padStart(16, '0')}`;
    expect((await here.volume.state()).locks).toEqual([
      `p ${ino} ${here.sid}_0000000000000001 ${record}`,
    ]);
    await set(here, 1n, 'unlock', [0n, LOCK_END_MAX]);
    expect((await here.volume.state()).locks).toEqual([]);
  });
}

function waitingContract(given: () => Both): void {
  it('a waiting lock is taken when the other is given back, here and elsewhere', async () => {
    const { here, there, ino } = given();
    await flock(here, ino, 1n, 'write');
    const got: string[] = [];
    const wait = async (name: string, bench: WriterBench) => {
      const lock = { owner: 9n, type: 'write' as const, wait: true };
      await bench.writer.flock(ino, lock, bench.root.signal);
      got.push(name);
      await flock(bench, ino, 9n, 'unlock');
    };
    const both = [wait('here', here), wait('there', there)];
    await expect(flock(there, ino, 2n, 'read')).rejects.toMatchObject(BUSY);
    expect(got).toEqual([]);
    await flock(here, ino, 1n, 'unlock');
    await Promise.all(both);
    expect(got.toSorted()).toEqual(['here', 'there']);
  });

  it('a wait ends when it is aborted', async () => {
    const { here, there, ino } = given();
    await flock(here, ino, 1n, 'write');
    const controller = new AbortController();
    const lock = { owner: 9n, type: 'write' as const, wait: true };
    const waiting = there.writer.flock(ino, lock, controller.signal);
    controller.abort(new Error('interrupted'));
    await expect(waiting).rejects.toThrow('interrupted');
    await flock(here, ino, 1n, 'unlock');
    expect((await here.volume.state()).locks).toEqual([]);
  });

  it('a session that is gone leaves no locks behind', async () => {
    const { here, there, ino } = given();
    await flock(there, ino, 5n, 'read');
    await here.engine.scans.dropLocks(there.sid, here.root.signal);
    await flock(here, ino, 5n, 'write');
    await flock(here, ino, 5n, 'unlock');
    expect((await here.volume.state()).locks).toEqual([]);
  });
}
