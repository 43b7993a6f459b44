import { describe, expect, it, onTestFinished } from 'vitest';
import { createQuotas } from '../../src/meta/create-writer.ts';
import type { OwnerCheck } from '../../src/meta/write/owner-quotas.ts';
import type { RenameFlags } from '../../src/meta/writer.ts';
import { FileType } from '../../src/posix/attr.ts';
import { ROOT_INO } from '../../src/posix/ino.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import type { SettingFields } from '../servers/empty-volume.ts';
import { type MakeVolume, refusal, text, user, WriterBench } from './writer-bench.ts';

const NO_LIMIT = { maxBytes: 0n, maxInodes: 0n, usedBytes: 0n, usedInodes: 0n };

/** Capacity, quotas of directories, users and groups; volumes that must not be written. */
export function limitsContract(make: MakeVolume): void {
  const open = async (fields: SettingFields = {}): Promise<WriterBench> => {
    const volume = await make(fields);
    const bench = await WriterBench.on(volume);
    onTestFinished(async () => {
      await bench.stop();
      await volume.stop();
    });
    return bench;
  };
  describe('limits', () => {
    capacityContract(open);
    directoryQuotas(open);
    ownerQuotas(open);
    trashOwner(open);
    ownerAdministration(open);
    refusedVolumes(make, open);
  });
}

type Open = (fields?: SettingFields) => Promise<WriterBench>;

function capacityContract(open: Open): void {
  it('a full volume takes no more bytes, and less again', async () => {
    const bench = await open({ Capacity: 40_960 });
    const ino = await bench.file('f', ROOT_INO, 36_864);
    expect(await refusal(bench, () => bench.write(ino, 36_864, 5000))).toBe('ENOSPC');
    expect(await refusal(bench, () => bench.writer.truncate(ino, 50_000n, bench.root))).toBe(
      'ENOSPC',
    );
    await bench.write(ino, 36_864, 4096);
    expect(await refusal(bench, () => bench.file('g'))).toBe('ENOSPC');
    await bench.writer.truncate(ino, 100n, bench.root);
    await bench.file('g');
    await bench.sound();
  });

  it('a volume with all its inodes takes no more', async () => {
    const bench = await open({ Inodes: 2 });
    await bench.mkdir('a');
    await bench.file('b');
    expect(await refusal(bench, () => bench.mkdir('c'))).toBe('ENOSPC');
    await bench.volume.change({ Inodes: 3 });
    await bench.writer.refresh(bench.root.signal);
    await bench.mkdir('c');
    await bench.sound();
  });
}

function directoryQuotas(open: Open): void {
  it('a quota holds for everything below, and counts it exactly', async () => {
    const bench = await open();
    const top = await bench.mkdir('top');
    await bench.volume.setDirQuota(top, { ...NO_LIMIT, maxBytes: 20_480n, maxInodes: 4n });
    await bench.writer.refresh(bench.root.signal);
    const sub = await bench.mkdir('sub', top);
    const ino = await bench.file('f', sub, 8192);
    await bench.sound();
    expect(await refusal(bench, () => bench.write(ino, 8192, 9000))).toBe('EDQUOT');
    await bench.write(ino, 8192, 8192);
    expect(await refusal(bench, () => bench.file('g', top))).toBe('EDQUOT');
    await bench.writer.truncate(ino, 0n, bench.root);
    const link = bench.writer.link(ino, { parent: top, name: text('l') }, bench.root);
    await expect(link).resolves.toMatchObject({ nlink: 2 });
    await bench.sound();
    await bench.write(ino, 0, 4000);
    await bench.mkdir('last', sub);
    expect(await refusal(bench, () => bench.file('one more', sub))).toBe('EDQUOT');
    await bench.writer.unlink({ parent: top, name: text('l') }, bench.root);
    await bench.writer.rmdir({ parent: sub, name: text('last') }, bench.root);
    await bench.sound();
  });

  it('what moves takes its usage along, a tree with all that is below', async () => {
    const bench = await open();
    const [one, two] = [await bench.mkdir('one'), await bench.mkdir('two')];
    for (const dir of [one, two]) await bench.volume.setDirQuota(dir, NO_LIMIT);
    await bench.writer.refresh(bench.root.signal);
    const tree = await bench.mkdir('tree', one);
    await bench.file('f', await bench.mkdir('deep', tree), 70_000);
    await bench.file('swap', two, 5000);
    const move = (
      name: string,
      from: typeof one,
      to: typeof one,
      { as = name, ...flags }: RenameFlags & { as?: string } = {},
    ) =>
      bench.writer.rename(
        { parent: from, name: text(name) },
        { parent: to, name: text(as) },
        flags,
        bench.root,
      );
    await move('tree', one, two);
    await bench.sound();
    await move('tree', two, ROOT_INO);
    await bench.sound();
    await move('tree', ROOT_INO, one);
    await bench.sound();
    await move('tree', one, two, { exchange: true, as: 'swap' });
    await bench.sound();
    await bench.volume.setDirQuota(one, {
      ...NO_LIMIT,
      maxInodes: 2n,
      usedBytes: 8192n,
      usedInodes: 1n,
    });
    expect(await refusal(bench, () => move('swap', two, one, { as: 'back' }))).toBe('EDQUOT');
    await expect(move('swap', two, two, { as: 'same' })).resolves.toBeDefined();
  });
}

function ownerQuotas(open: Open): void {
  it('users and groups have limits, and are charged for what is theirs', async () => {
    const bench = await open({ UserGroupQuota: true });
    const used = async (who: string) => {
      const quota = (await bench.sound()).ownerQuotas.get(who);
      return quota && [quota.usedBytes, quota.usedInodes];
    };
    await bench.volume.setOwnerQuota('user', 1000, {
      ...NO_LIMIT,
      maxInodes: 2n,
      maxBytes: 12_288n,
    });
    const caller = user(1000, 50);
    const ino = await bench.file('f', ROOT_INO, 5000, caller);
    expect(await used('user 1000')).toEqual([8192n, 1n]);
    expect(await used('group 50')).toEqual([8192n, 1n]);
    expect(await refusal(bench, () => bench.write(ino, 5000, 9000))).toBe('EDQUOT');
    await bench.mkdir('d', ROOT_INO, 0o755, caller);
    expect(await refusal(bench, () => bench.file('g', ROOT_INO, 0, caller))).toBe('EDQUOT');
    await bench.writer.setattr(ino, { uid: 7, gid: 8 }, bench.root);
    expect(await used('user 1000')).toEqual([4096n, 1n]);
    expect(await used('user 7')).toEqual([8192n, 1n]);
    expect(await used('group 8')).toEqual([8192n, 1n]);
    await bench.writer.unlink({ parent: ROOT_INO, name: text('f') }, bench.root);
    expect(await used('user 7')).toEqual([0n, 0n]);
    await bench.volume.setOwnerQuota('group', 50, { ...NO_LIMIT, maxInodes: 1n, usedInodes: 1n });
    expect(await refusal(bench, () => bench.file('h', ROOT_INO, 0, user(9, 50)))).toBe('EDQUOT');
  });
}

function trashOwner(open: Open): void {
  it('what is in the trash counts for its owner, the hourly directory for root', async () => {
    const bench = await open({ UserGroupQuota: true, TrashDays: 1 });
    await bench.file('f', ROOT_INO, 5000, user(1000, 50));
    await bench.writer.unlink({ parent: ROOT_INO, name: text('f') }, bench.root);
    const { ownerQuotas: quotas } = await bench.sound();
    const used = (who: string) => [quotas.get(who)?.usedBytes, quotas.get(who)?.usedInodes];
    expect(used('user 1000')).toEqual([8192n, 1n]);
    expect(used('user 0')).toEqual([4096n, 1n]);
    expect(used('group 0')).toEqual([4096n, 1n]);
  });
}

function ownerAdministration(open: Open): void {
  const administer = async (bench: WriterBench) => {
    const parts = { clock: systemClock, random: systemRandom, logger: silentLogger };
    const options = { ...parts, metrics: memoryMetrics(), engine: bench.engine };
    return (await createQuotas({ ...options, sid: () => undefined }, bench.root.signal)).owners;
  };
  const wrongOf = (all: readonly OwnerCheck[]) =>
    all.filter(
      ({ quota, actual }) => quota.usedBytes !== actual.space || quota.usedInodes !== actual.inodes,
    );

  it('what is counted of users and groups is what they were charged with', async () => {
    const bench = await open({ UserGroupQuota: true, TrashDays: 1 });
    const { writer, root } = bench;
    const { signal } = root;
    const dir = await bench.mkdir('d', ROOT_INO, 0o777, user(5, 6));
    const ino = await bench.file('f', dir, 5000, user(1000, 50));
    await writer.link(ino, { parent: ROOT_INO, name: text('hard') }, root);
    const node = { type: FileType.symlink, mode: 0o777, umask: 0, target: text('f') };
    const link = await writer.mknod({ parent: dir, name: text('link') }, node, root);
    await writer.setattr(link.ino, { uid: 1000, gid: 50 }, root);
    await bench.file('trash', dir, 9000, user(7, 8));
    await writer.unlink({ parent: dir, name: text('trash') }, root);
    const kept = await bench.file('open', dir, 100, user(9, 9));
    writer.opened(kept);
    await writer.unlink({ parent: dir, name: text('open') }, root, { skipTrash: true });
    const quotas = await administer(bench);
    const all = await quotas.check(signal);
    expect(wrongOf(all)).toEqual([]);
    expect(all).toContainEqual(
      expect.objectContaining({ kind: 'user', id: 9, actual: { space: 4096n, inodes: 1n } }),
    );
    expect(all).toContainEqual(
      expect.objectContaining({ kind: 'group', id: 50, actual: { space: 12_288n, inodes: 2n } }),
    );
    await bench.volume.setOwnerQuota('user', 1000, { ...NO_LIMIT, usedBytes: 1n, maxBytes: 99n });
    await bench.volume.setOwnerQuota('group', 77, { ...NO_LIMIT, usedInodes: 4n });
    const wrong = wrongOf(await quotas.check(signal));
    expect(wrong.map(({ kind, id }) => [kind, id])).toEqual([
      ['user', 1000],
      ['group', 77],
    ]);
    for (const each of wrong) await quotas.repair(each, signal);
    expect(wrongOf(await quotas.check(signal))).toEqual([]);
    const mended = { maxBytes: 99n, maxInodes: 0n, usedBytes: 12_288n, usedInodes: 2n };
    expect(await quotas.get({ kind: 'user', id: 1000 }, signal)).toEqual(mended);
    await writer.closed(kept, signal);
  });

  it('limits are set one by one and taken away; the usage stays', async () => {
    const bench = await open({ UserGroupQuota: true });
    const { signal } = bench.root;
    const caller = user(1000, 50);
    await bench.file('f', ROOT_INO, 5000, caller);
    const quotas = await administer(bench);
    const who = { kind: 'user', id: 1000 } as const;
    const used = { usedBytes: 8192n, usedInodes: 1n };
    await quotas.set(who, { maxInodes: 1n }, signal);
    expect(await quotas.get(who, signal)).toEqual({ maxBytes: -1n, maxInodes: 1n, ...used });
    expect(await refusal(bench, () => bench.file('g', ROOT_INO, 0, caller))).toBe('EDQUOT');
    await quotas.set(who, { maxBytes: 10_000n, maxInodes: 0n }, signal);
    expect(await quotas.get(who, signal)).toEqual({ maxBytes: 10_000n, maxInodes: 0n, ...used });
    expect(await refusal(bench, () => bench.file('g', ROOT_INO, 0, caller))).toBe('EDQUOT');
    await quotas.remove(who, signal);
    expect(await quotas.get(who, signal)).toEqual({ maxBytes: -1n, maxInodes: -1n, ...used });
    await bench.file('g', ROOT_INO, 0, caller);
    await quotas.set({ kind: 'group', id: 51 }, { maxBytes: 1n }, signal);
    expect(await quotas.get({ kind: 'group', id: 51 }, signal)).toEqual({
      ...{ maxBytes: 1n, maxInodes: -1n, usedBytes: 0n, usedInodes: 0n },
    });
    expect(await quotas.get({ kind: 'group', id: 52 }, signal)).toBeUndefined();
  });
}

function refusedVolumes(make: MakeVolume, open: Open): void {
  it('a volume whose changes must be logged is not written', async () => {
    const volume = await make({ ChangeLog: true });
    onTestFinished(() => volume.stop());
    await expect(WriterBench.on(volume)).rejects.toMatchObject({ code: 'incompatible' });
  });

  it('nor one that begins to be logged, or becomes another one', async () => {
    const bench = await open();
    const refresh = () => bench.writer.refresh(bench.root.signal);
    await expect(refresh()).resolves.toBeUndefined();
    await bench.volume.change({ ChangeLog: true });
    await expect(refresh()).rejects.toMatchObject({ code: 'incompatible' });
    await bench.volume.change({ UUID: '11111111-2222-3333-4444-555555555555' });
    await expect(refresh()).rejects.toMatchObject({ code: 'incompatible' });
  });

  it('one that has become another one is not changed any more, by whatever waits', async () => {
    const bench = await open();
    const ino = await bench.file('f', ROOT_INO, 100);
    const refused = { code: 'incompatible' };
    await bench.volume.change({ ChangeLog: true });
    await expect(bench.writer.refresh(bench.root.signal)).rejects.toMatchObject(refused);
    // It is the same volume still: what was acknowledged is committed.
    await bench.write(ino, 100, 50);
    await bench.volume.change({ UUID: '11111111-2222-3333-4444-555555555555' });
    await expect(bench.writer.refresh(bench.root.signal)).rejects.toMatchObject(refused);
    const before = await bench.volume.state();
    await expect(bench.write(ino, 0, 100)).rejects.toMatchObject(refused);
    await expect(bench.mkdir('d')).rejects.toMatchObject(refused);
    expect(await bench.volume.state()).toEqual(before);
  });

  it('without statistics of directories none are kept', async () => {
    const bench = await open({ DirStats: false });
    await bench.file('f', await bench.mkdir('d'), 5000);
    await bench.volume.setDirQuota(ROOT_INO, { ...NO_LIMIT, maxInodes: 1n });
    await bench.writer.refresh(bench.root.signal);
    await bench.file('g');
    const { dirStats } = await bench.volume.state();
    expect([...dirStats.values()].every(({ inodes }) => inodes === 0n)).toBe(true);
  });
}
