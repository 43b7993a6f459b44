import {
  chmod,
  chown,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rmdir,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runToEnd } from '../servers/cli.ts';
import type { TestDaemon } from '../servers/daemons.ts';
import { startWriter, type WritableVolume, writableVolume } from '../servers/writable.ts';

const USER = 1234;

describe.each(['redis', 'sqlite'] as const)('system calls that change a volume on %s', (engine) => {
  let volume: WritableVolume;
  let daemon: TestDaemon;
  const at = (...names: string[]) => join(daemon.mountpoint, 'calls', ...names);

  beforeAll(async () => {
    volume = await writableVolume(engine, { blockKib: 64 });
    daemon = await startWriter(volume, { args: ['--attr-cache', '0', '--entry-cache', '0'] });
    await mkdir(at());
    await chmod(at(), 0o777);
    await writeFile(at('file'), 'content');
    await mkdir(at('directory'));
    await mkdir(at('full'));
    await writeFile(at('full', 'inner'), '');
  });

  afterAll(async () => {
    await daemon?.stop();
    await volume?.stop();
  });

  const refused: readonly [string, string, () => Promise<unknown>][] = [
    ['mkdir over a file', 'EEXIST', () => mkdir(at('file'))],
    ['mkdir below nothing', 'ENOENT', () => mkdir(at('nothing', 'x'))],
    ['mkdir below a file', 'ENOTDIR', () => mkdir(at('file', 'x'))],
    ['create with O_EXCL', 'EEXIST', () => open(at('file'), 'wx')],
    ['create with a long name', 'ENAMETOOLONG', () => writeFile(at('n'.repeat(256)), '')],
    ['create a virtual name', 'EEXIST', () => mkdir(join(daemon.mountpoint, '.stats'))],
    ['write to a directory', 'EISDIR', () => open(at('directory'), 'r+')],
    ['unlink nothing', 'ENOENT', () => unlink(at('nothing'))],
    ['unlink a directory', 'EISDIR', () => unlink(at('directory'))],
    ['rmdir a file', 'ENOTDIR', () => rmdir(at('file'))],
    ['rmdir a full directory', 'ENOTEMPTY', () => rmdir(at('full'))],
    ['rename nothing', 'ENOENT', () => rename(at('nothing'), at('x'))],
    ['rename a file over a directory', 'EISDIR', () => rename(at('file'), at('directory'))],
    ['rename a directory over a file', 'ENOTDIR', () => rename(at('directory'), at('file'))],
    ['rename over a full one', 'ENOTEMPTY', () => rename(at('directory'), at('full'))],
    ['rename below itself', 'EINVAL', () => rename(at('directory'), at('directory', 'x'))],
    ['link a directory', 'EPERM', () => link(at('directory'), at('x'))],
    ['link over a file', 'EEXIST', () => link(at('file'), at('full', 'inner'))],
    ['symlink over a file', 'EEXIST', () => symlink('target', at('file'))],
    ['truncate a directory', 'EISDIR', () => truncate(at('directory'), 1)],
    ['truncate nothing', 'ENOENT', () => truncate(at('nothing'), 1)],
  ];

  test.each(refused)('%s gives %s', async (_, code, call) => {
    await expect(call()).rejects.toMatchObject({ code });
  });

  test('names come, move and go', async () => {
    await writeFile(at('a'), 'first');
    await writeFile(at('b'), 'second');
    await rename(at('a'), at('b'));
    expect(await readFile(at('b'), 'utf8')).toBe('first');
    await link(at('b'), at('c'));
    expect((await stat(at('b'))).nlink).toBe(2);
    await symlink('b', at('d'));
    expect(await readlink(at('d'))).toBe('b');
    await mkdir(at('e'));
    await rename(at('c'), at('e', 'c'));
    expect(await readdir(at('e'))).toEqual(['c']);
    await Promise.all([unlink(at('b')), unlink(at('d')), unlink(at('e', 'c'))]);
    await rmdir(at('e'));
    expect((await readdir(at())).toSorted()).toEqual(['directory', 'file', 'full']);
  });

  test('names swap, and an existing one is kept when it must be', async () => {
    await writeFile(at('one'), '1');
    await writeFile(at('two'), '2');
    const program = [
      'import ctypes, os, sys',
      'libc = ctypes.CDLL(None, use_errno=True)',
      'def move(flags):',
      '  a, b = (os.fsencode(path) for path in sys.argv[1:3])',
      '  return 0 if libc.renameat2(-100, a, -100, b, flags) == 0 else ctypes.get_errno()',
      'print(move(1), move(2), move(4))',
    ].join('\n');
    const { stdout } = await runToEnd(['python3', '-c', program, at('one'), at('two')]);
    expect(stdout.trim()).toBe('17 0 22');
    expect(await readFile(at('one'), 'utf8')).toBe('2');
    await Promise.all([unlink(at('one')), unlink(at('two'))]);
  });

  test('attributes are kept', async () => {
    await chmod(at('file'), 0o640);
    await chown(at('file'), USER, USER);
    await utimes(at('file'), 1_000_000, 2_000_000.5);
    const found = await stat(at('file'));
    expect(found).toMatchObject({ uid: USER, gid: USER, mode: 0o100640, size: 7 });
    expect([found.atimeMs, found.mtimeMs]).toEqual([1_000_000_000, 2_000_000_500]);
  });

  test('umask and device numbers count', async () => {
    const make = `umask 027; mkdir ${at('m')}; mkfifo ${at('p')}; mknod ${at('n')} c 5 1; touch ${at('t')}`;
    await runToEnd(['sh', '-c', make]);
    const modes = await Promise.all(['m', 'p', 'n', 't'].map((name) => stat(at(name))));
    expect(modes.map(({ mode }) => mode)).toEqual([0o40750, 0o10640, 0o20640, 0o100640]);
    expect(modes[2]?.rdev).toBe(5 * 256 + 1);
    await rmdir(at('m'));
    await Promise.all(['p', 'n', 't'].map((name) => unlink(at(name))));
  });

  test('extended attributes are set, replaced and removed', async () => {
    const set = (...words: string[]) => runToEnd(['setfattr', ...words, at('file')]);
    expect(await set('-n', 'user.color', '-v', 'blue')).toMatchObject({ status: 0 });
    const get = () => runToEnd(['getfattr', '--only-values', '-n', 'user.color', at('file')]);
    expect((await get()).stdout).toBe('blue');
    expect(await set('-x', 'user.color')).toMatchObject({ status: 0 });
    expect((await get()).stderr).toMatch(/No such attribute/);
  });

  test('an unlinked file lives until it is closed', async () => {
    const file = await open(at('ghost'), 'w+');
    await file.write('before');
    await unlink(at('ghost'));
    await file.write(' after');
    await file.sync();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(20), 0, 20, 0);
    expect(buffer.subarray(0, bytesRead).toString()).toBe('before after');
    expect((await file.stat()).nlink).toBe(0);
    await file.close();
    await expect(stat(at('ghost'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('bits that give rights are cleared when others write', async () => {
    await writeFile(at('rights'), 'x');
    await chmod(at('rights'), 0o6777);
    const write = `import os; f = open(${JSON.stringify(at('rights'))}, "r+"); os.setgid(${USER}); os.setuid(${USER}); f.write("y"); f.flush()`;
    await runToEnd(['python3', '-c', write]);
    expect(((await stat(at('rights'))).mode & 0o7777).toString(8)).toBe('777');
    await unlink(at('rights'));
  });

  test('a descriptor that appends no more writes where it stands', async () => {
    const program = [
      'import fcntl, os, sys',
      'fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_APPEND)',
      'os.write(fd, b"0123456789")',
      'fcntl.fcntl(fd, fcntl.F_SETFL, 0)',
      'os.pwrite(fd, b"ab", 4)',
    ].join('\n');
    await runToEnd(['python3', '-c', program, at('moves')]);
    expect(await readFile(at('moves'), 'utf8')).toBe('0123ab6789');
    await unlink(at('moves'));
  });

  test('a file is written past the page cache, too', async () => {
    const program = [
      'import mmap, os, sys',
      'fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_DIRECT)',
      'data = mmap.mmap(-1, 1 << 20)',
      'data.write(bytes(range(256)) * 4096)',
      'print(os.pwritev(fd, [data], 4096))',
      'back = mmap.mmap(-1, 1 << 20)',
      'print(os.preadv(fd, [back], 4096), back[:] == data[:])',
      'os.close(fd)',
    ].join('\n');
    const { stdout, stderr } = await runToEnd(['python3', '-c', program, at('direct')]);
    expect(stderr).toBe('');
    expect(stdout.split(/\s+/)).toEqual(['1048576', '1048576', 'True', '']);
    await unlink(at('direct'));
  });
});
