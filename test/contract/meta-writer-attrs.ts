import { describe, expect, it } from 'vitest';
import type { AclRule } from '../../src/meta/acl.ts';
import type { SetAttr } from '../../src/meta/set-attr.ts';
import { FileType } from '../../src/posix/attr.ts';
import { ROOT_INO, toIno } from '../../src/posix/ino.ts';
import { benchOn, type Given, type MakeVolume, refusal, text, user } from './writer-bench.ts';

const NOWHERE = toIno(999_999n);
const UNSET = 0xffff;

/** Attributes, extended ones and ACLs. */
export function attrsContract(make: MakeVolume): void {
  describe('attributes', () => {
    const given = benchOn(() => make({ EnableACL: true }));
    settingContract(given);
    xattrContract(given);
    aclContract(given);
  });
}

function settingContract(given: Given): void {
  it('sets what it is told, and ctime', async () => {
    const bench = given();
    const ino = await bench.file('set', ROOT_INO, 10);
    const set: SetAttr = {
      ...{ mode: 0o4751, uid: 12, gid: 13, flags: 32, tier: 2 },
      atime: { seconds: 1_700_000_000, nanoseconds: 123_456_789 },
      mtime: { seconds: 1_600_000_000, nanoseconds: 987_654_321 },
    };
    const before = await bench.attr(ino);
    const attr = await bench.writer.setattr(ino, set, bench.root);
    expect(attr).toMatchObject(set);
    expect(attr.ctime).not.toEqual(before.ctime);
    expect(await bench.attr(ino)).toEqual(attr);
    const same = await bench.writer.setattr(
      ino,
      { mode: 0o4751, atime: set.atime as never },
      bench.root,
    );
    // POSIX; stock clients leave ctime alone when nothing is different.
    expect(same.ctime).not.toEqual(attr.ctime);
    expect({ ...same, ctime: attr.ctime }).toEqual(attr);
    expect(await bench.writer.setattr(ino, {}, bench.root)).toEqual(same);
  });

  it('sets times to the present', async () => {
    const bench = given();
    const ino = await bench.file('now');
    const attr = await bench.writer.setattr(ino, { atime: 'now', mtime: 'now' }, bench.root);
    expect(attr.atime).toEqual(attr.ctime);
    expect(attr.mtime).toEqual(attr.ctime);
    const negative = { seconds: -1, nanoseconds: 0 };
    expect(
      (await bench.writer.setattr(ino, { mtime: negative }, bench.root)).mtime.seconds,
    ).toBeGreaterThan(0);
  });

  it('takes set-uid and set-gid away from programs that change hands', async () => {
    const bench = given();
    const ino = await bench.file('suid');
    const modeAfter = async (mode: number, set: SetAttr) => {
      await bench.writer.setattr(ino, { mode }, bench.root);
      return (await bench.writer.setattr(ino, set, bench.root)).mode;
    };
    expect(await modeAfter(0o6755, { uid: 5 })).toBe(0o755);
    expect(await modeAfter(0o6745, { gid: 5 })).toBe(0o2745);
    const dir = await bench.mkdir('sgid', ROOT_INO, 0o2755);
    expect((await bench.writer.setattr(dir, { gid: 5 }, bench.root)).mode).toBe(0o2755);
  });

  it('refuses what is not the caller’s to change', async () => {
    const bench = given();
    const ino = await bench.file('theirs', ROOT_INO, 0, user(1));
    const rootOwned = await bench.file('roots');
    const time = { seconds: 5, nanoseconds: 0 };
    const set =
      (attr: SetAttr, uid: number, of = ino) =>
      () =>
        bench.writer.setattr(of, attr, bench.as(user(uid)));
    expect(await refusal(bench, set({ mode: 0o600 }, 2))).toBe('EPERM');
    expect(await refusal(bench, set({ gid: 2 }, 2))).toBe('EPERM');
    expect(await refusal(bench, set({ gid: 9 }, 1))).toBe('EPERM');
    expect(await refusal(bench, set({ uid: 9 }, 1))).toBe('EPERM');
    expect(await refusal(bench, set({ atime: time }, 2))).toBe('EACCES');
    expect(await refusal(bench, set({ mtime: 'now' }, 2))).toBe('EACCES');
    expect(await refusal(bench, set({ mtime: time }, 2, rootOwned))).toBe('EPERM');
    expect(await refusal(bench, set({ mode: 0 }, 0, NOWHERE))).toBe('ENOENT');
    await expect(set({ mode: 0o666 }, 1)()).resolves.toMatchObject({ mode: 0o666 });
    await expect(set({ mtime: 'now' }, 2)()).resolves.toBeDefined();
  });
}

function xattrContract(given: Given): void {
  it('stores, replaces and removes extended attributes of any bytes', async () => {
    const bench = given();
    const ino = await bench.file('xattrs');
    const name = Uint8Array.of(0x75, 0x2e, 0xff, 0xfe);
    const before = await bench.attr(ino);
    const set = (value: Uint8Array, how: 'any' | 'create' | 'replace') => () =>
      bench.writer.setxattr(ino, { name, value, how }, bench.root);
    const get = async () => {
      const value = await bench.engine.getxattr(ino, name, bench.root.signal);
      return value === undefined ? undefined : [...value];
    };
    expect(await refusal(bench, set(text('a'), 'replace'))).toBe('ENODATA');
    await set(new Uint8Array(65_536).fill(1), 'create')();
    expect((await get())?.length).toBe(65_536);
    expect(await refusal(bench, set(text('a'), 'create'))).toBe('EEXIST');
    await set(new Uint8Array(0), 'replace')();
    expect(await get()).toEqual([]);
    expect(await bench.attr(ino)).toEqual(before);
    await bench.writer.removexattr(ino, name, bench.root);
    expect(await get()).toBeUndefined();
    expect(await refusal(bench, () => bench.writer.removexattr(ino, name, bench.root))).toBe(
      'ENODATA',
    );
  });

  it('refuses extended attributes that cannot be', async () => {
    const bench = given();
    const ino = await bench.file('no xattrs');
    const set =
      (name: Uint8Array, size: number, of = ino) =>
      () =>
        bench.writer.setxattr(of, { name, value: new Uint8Array(size), how: 'any' }, bench.root);
    expect(await refusal(bench, set(text(''), 1))).toBe('EINVAL');
    expect(await refusal(bench, set(new Uint8Array(256).fill(65), 1))).toBe('ERANGE');
    expect(await refusal(bench, set(text('user.x'), 65_537))).toBe('ERANGE');
    expect(await refusal(bench, set(text('user.x'), 1, NOWHERE))).toBe('ENOENT');
  });
}

function aclContract(given: Given): void {
  const rule: AclRule = {
    ...{ owner: 6, group: 4, mask: 6, other: 4 },
    users: [{ id: 1000, perm: 6 }],
    groups: [{ id: 2000, perm: 4 }],
  };

  it('stores an access rule once, and puts its bits into the mode', async () => {
    const bench = given();
    const [a, b] = [await bench.file('acl a'), await bench.file('acl b')];
    const first = await bench.writer.setAcl(a, { kind: 'access', rule }, bench.root);
    const second = await bench.writer.setAcl(b, { kind: 'access', rule }, bench.root);
    expect(first.mode).toBe(0o664);
    expect(first.accessAclId).toBeGreaterThan(0);
    expect(second.accessAclId).toBe(first.accessAclId);
    expect(await bench.engine.aclRule(first.accessAclId, bench.root.signal)).toEqual(rule);
    const moded = await bench.writer.setattr(a, { mode: 0o640 }, bench.root);
    expect(moded.accessAclId).not.toBe(first.accessAclId);
    expect(await bench.engine.aclRule(moded.accessAclId, bench.root.signal)).toEqual({
      ...rule,
      ...{ owner: 6, mask: 4, other: 0 },
    });
    const none = await bench.writer.setAcl(a, { kind: 'access', rule: undefined }, bench.root);
    expect(none).toMatchObject({ accessAclId: 0, mode: 0o640 });
  });

  it('lets named users and groups in', async () => {
    const bench = given();
    const dir = await bench.mkdir('named', ROOT_INO, 0o700);
    const names = { users: [{ id: 1000, perm: 7 }], groups: [{ id: 2000, perm: 5 }] };
    const dirRule = { owner: 7, group: 0, mask: 7, other: 0, ...names };
    await bench.writer.setAcl(dir, { kind: 'access', rule: dirRule }, bench.root);
    await expect(bench.file('by 1000', dir, 0, user(1000))).resolves.toBeDefined();
    expect(await refusal(bench, () => bench.file('by 2000', dir, 0, user(5, 2000)))).toBe('EACCES');
    expect(await refusal(bench, () => bench.file('by 6', dir, 0, user(6)))).toBe('EACCES');
  });

  it('children inherit a default rule in place of the umask', async () => {
    const bench = given();
    const dir = await bench.mkdir('defaults', ROOT_INO, 0o755);
    const set = await bench.writer.setAcl(dir, { kind: 'default', rule }, bench.root);
    expect(set).toMatchObject({ mode: 0o755, accessAclId: 0 });
    const at = (name: string) => ({ parent: dir, name: text(name) });
    const file = { type: FileType.file, mode: 0o666, umask: 0o077 };
    const made = await bench.writer.mknod(at('f'), file, bench.root);
    expect(made.attr).toMatchObject({ mode: 0o664, defaultAclId: 0 });
    const sub = { type: FileType.directory, mode: 0o777, umask: 0o077 };
    const subAttr = (await bench.writer.mknod(at('d'), sub, bench.root)).attr;
    expect(subAttr.defaultAclId).toBe(set.defaultAclId);
    const minimal = { owner: 7, group: 5, mask: UNSET, other: 0, users: [], groups: [] };
    await bench.writer.setAcl(dir, { kind: 'default', rule: minimal }, bench.root);
    const plain = await bench.writer.mknod(at('g'), file, bench.root);
    expect(plain.attr).toMatchObject({ mode: 0o640, accessAclId: 0 });
  });

  it('refuses ACLs that are not the caller’s to set', async () => {
    const bench = given();
    const ino = await bench.file('acl refused');
    const set = (of: bigint, uid: number) => () =>
      bench.writer.setAcl(toIno(of), { kind: 'access', rule }, bench.as(user(uid)));
    expect(await refusal(bench, set(ino, 1))).toBe('EPERM');
    expect(await refusal(bench, set(NOWHERE, 0))).toBe('ENOENT');
    await bench.writer.setattr(ino, { flags: 1 }, bench.root);
    expect(await refusal(bench, set(ino, 0))).toBe('EPERM');
    await bench.writer.setattr(ino, { flags: 0 }, bench.root);
  });
}
