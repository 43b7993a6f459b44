import { describe, expect, test } from 'vitest';
import { encodeAclXattr } from '../../src/meta/acl-xattr.ts';
import { ROOT_INO, TRASH_INO, toIno } from '../../src/posix/ino.ts';
import { bytesOf } from './fake-meta.ts';
import { context, fakeVfs } from './fake-vfs.ts';

const INO = toIno(2n);
const RULE = { owner: 6, group: 4, mask: 0xffff, other: 4, users: [], groups: [] };

function withXattrs(
  options: Parameters<typeof fakeVfs>[0] = { enableXattr: true },
  setting: Parameters<typeof fakeVfs>[1] = {},
) {
  const fake = fakeVfs(options, setting);
  fake.meta.add(ROOT_INO, 'file', INO, { accessAclId: 3 });
  fake.meta.rules.set(3, RULE);
  fake.meta.xattrs.set(
    INO,
    new Map([
      ['user.a', bytesOf('1')],
      ['security.capability', bytesOf('2')],
      ['security.selinux', bytesOf('3')],
    ]),
  );
  const get = (name: string, ino = INO) => fake.vfs.getxattr(context(), ino, bytesOf(name));
  const names = async () =>
    (await fake.vfs.listxattr(context(), INO)).map((name) => Buffer.from(name).toString());
  return { ...fake, get, names };
}

describe('extended attributes', () => {
  test('have raw values; what is not there is ENODATA', async () => {
    const { get } = withXattrs();
    expect(await get('user.a')).toEqual(bytesOf('1'));
    await expect(get('user.b')).rejects.toMatchObject({ code: 'ENODATA' });
    await expect(get('')).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(get('x'.repeat(256))).rejects.toMatchObject({ code: 'ERANGE' });
    await expect(get('user.a', TRASH_INO)).rejects.toMatchObject({ code: 'ENODATA' });
  });

  test('of the kernel need their switches', async () => {
    const off = withXattrs();
    const on = withXattrs({ enableXattr: true, enableCap: true, enableSelinux: true });
    for (const name of ['security.capability', 'security.selinux']) {
      await expect(off.get(name)).rejects.toMatchObject({ code: 'ENODATA' });
      expect((await on.get(name)).byteLength).toBe(1);
    }
  });

  test('that are switched off are ENOSYS, so that the kernel asks no more', async () => {
    const { get, names } = withXattrs({});
    await expect(get('user.a')).rejects.toMatchObject({ code: 'ENOSYS' });
    await expect(names()).rejects.toMatchObject({ code: 'ENOSYS' });
  });

  test('show access rules only when the volume has them', async () => {
    const without = withXattrs();
    await expect(without.get('system.posix_acl_access')).rejects.toMatchObject({ code: 'ENODATA' });
    expect(await without.names()).not.toContain('system.posix_acl_access');
    const acl = withXattrs({}, { enableAcl: true });
    expect(await acl.get('system.posix_acl_access')).toEqual(encodeAclXattr(RULE));
    await expect(acl.get('system.posix_acl_default')).rejects.toMatchObject({ code: 'ENODATA' });
    expect(await acl.names()).toContain('system.posix_acl_access');
    acl.meta.rules.clear();
    await expect(acl.get('system.posix_acl_access')).rejects.toMatchObject({ code: 'EIO' });
  });
});
