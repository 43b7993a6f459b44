import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FuseNativeError, loadFuseNative } from '../../src/fuse/native/fuse-native-package.ts';
import { mountedDevice } from '../../src/fuse/native/mounted.ts';
import { NativeDriver } from '../../src/fuse/native/native-driver.ts';
import { FileType } from '../../src/posix/attr.ts';
import { ROOT_INO } from '../../src/posix/ino.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { type MemoryMetrics, memoryMetrics } from '../../src/runtime/metrics.ts';
import { makeTempDir } from '../servers/temp.ts';
import { waitUntil } from '../servers/wait-until.ts';
import { type TreeFuse, treeFuse } from './fuse-native-tree.ts';

// Everything that touches the mount runs in other processes: a blocking call of this one would wait
// for itself.
const run = promisify(execFile);

/** Runs Python with `mnt` set to the mountpoint and gives what it printed as JSON. */
async function python(mnt: string, code: string): Promise<unknown> {
  const script = `import json, os, sys\nmnt = sys.argv[1]\n${code}`;
  const { stdout } = await run('python3', ['-c', script, mnt], { timeout: 20_000 });
  return JSON.parse(stdout);
}

function unusable(): string | undefined {
  if (!existsSync('/dev/fuse')) return '/dev/fuse is missing';
  if (process.getuid?.() !== 0) return 'needs root';
  try {
    loadFuseNative();
    return undefined;
  } catch (error) {
    if (error instanceof FuseNativeError) return error.message;
    throw error;
  }
}

const skipReason = unusable();
if (skipReason !== undefined) console.warn(`fuse-native tests are skipped: ${skipReason}`);

describe.skipIf(skipReason !== undefined)('a mount by fuse-native', () => {
  const big = randomBytes(9_000_001);
  let tree: TreeFuse;
  let driver: NativeDriver;
  let metrics: MemoryMetrics;
  let mnt: string;

  beforeEach(async () => {
    tree = treeFuse();
    metrics = memoryMetrics();
    mnt = await makeTempDir('native');
    tree.add(ROOT_INO, 'big', { uid: 1234, gid: 2 ** 32 - 2, mode: 0o4755 }, big);
    tree.add(ROOT_INO, 'link', { type: FileType.symlink, mode: 0o777 }, Buffer.from('dir/ä'));
    const dir = tree.add(ROOT_INO, 'dir', { type: FileType.directory, mode: 0o755 });
    tree.add(dir, Buffer.from('ä').toString('latin1'), {}, Buffer.from('umlaut'));
    driver = new NativeDriver(tree, {
      ...{ mountpoint: mnt, sourceName: 'JuiceFS:a,b', clock: systemClock },
      caller: { uid: 0, gid: 0, pid: process.pid },
      ...{ logger: silentLogger, metrics, attrTimeoutMs: 0, entryTimeoutMs: 0 },
    });
    await driver.start();
  });

  afterEach(async () => {
    await driver.stop();
    // Had the mount stayed, this would be defined, and removing the folder would hang.
    assert.equal(await mountedDevice(mnt), undefined);
    assert.deepEqual([...tree.references.keys()], []);
    assert.equal(tree.openHandles.size, 0);
    assert.equal(tree.unreleasedReads, 0);
  });

  test('shows the tree with its types, sizes, owners and times', async () => {
    const seen = await python(
      mnt,
      `
rows = {}
for e in os.scandir(mnt):
    s = e.stat(follow_symlinks=False)
    kind = 'd' if e.is_dir(follow_symlinks=False) else 'l' if e.is_symlink() else 'f'
    rows[e.name] = [kind, e.inode() == s.st_ino, oct(s.st_mode), s.st_uid, s.st_gid, s.st_size, s.st_blocks, s.st_mtime_ns]
print(json.dumps(rows))`,
    );
    const ms = 1_600_000_000_123_000_000;
    expect(seen).toEqual({
      big: ['f', true, '0o104755', 1234, 2 ** 32 - 2, 9_000_001, Math.ceil(9_000_001 / 512), ms],
      link: ['l', true, '0o120777', 0, 0, 6, 1, ms],
      dir: ['d', true, '0o40755', 0, 0, 0, 0, ms],
    });
  });

  test('reads whole files, ranges and behind the end', async () => {
    const { stdout } = await run('sha256sum', [`${mnt}/big`]);
    expect(stdout.split(' ')[0]).toBe(createHash('sha256').update(big).digest('hex'));
    const seen = await python(
      mnt,
      `
fd = os.open(mnt + '/big', os.O_RDONLY)
print(json.dumps([os.pread(fd, 10, 8999996).hex(), os.pread(fd, 10, 9000001).hex(), os.pread(fd, 7, 131070).hex()]))`,
    );
    const hex = (from: number, to: number) => big.subarray(from, to).toString('hex');
    expect(seen).toEqual([hex(8_999_996, 9_000_001), '', hex(131_070, 131_077)]);
  });

  test('follows links and finds names that are not ASCII', async () => {
    expect((await run('cat', [`${mnt}/link`])).stdout).toBe('umlaut');
    expect((await run('readlink', [`${mnt}/link`])).stdout).toBe('dir/ä\n');
    expect((await run('ls', [`${mnt}/dir`])).stdout).toBe('ä\n');
  });

  test('gives attributes, their size first, and never more than the caller has room for', async () => {
    const seen = await python(
      mnt,
      `
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
p = (mnt + '/big').encode()
def call(name, size):
    room = ctypes.create_string_buffer(max(size, 1))
    n = libc.getxattr(p, name, room, size) if name else libc.listxattr(p, room, size)
    return [n, ctypes.get_errno() if n < 0 else room.raw[:min(n, size)].hex()]
print(json.dumps([call(b'user.raw', 0), call(b'user.raw', 3), call(b'user.raw', 4), call(b'user.raw', 100),
  call(b'user.empty', 10), call(b'user.none', 10), call(None, 0), call(None, 5), call(None, 20)]))`,
    );
    const list = Buffer.from('user.raw\0user.empty\0').toString('hex');
    expect(seen).toEqual([
      ...[
        [4, ''],
        [-1, 34],
        [4, '00ff8007'],
        [4, '00ff8007'],
      ],
      ...[
        [0, ''],
        [-1, 61],
        [20, ''],
        [-1, 34],
        [20, list],
      ],
    ]);
  });

  test('refuses every change with EROFS, and what is missing with ENOENT', async () => {
    const seen = await python(
      mnt,
      `
def errno_of(f):
    try:
        f()
        return 0
    except OSError as e:
        return e.errno
print(json.dumps([errno_of(f) for f in [
  lambda: open(mnt + '/new', 'w'), lambda: open(mnt + '/big', 'r+'), lambda: os.mkdir(mnt + '/d'),
  lambda: os.unlink(mnt + '/big'), lambda: os.rename(mnt + '/big', mnt + '/b'), lambda: os.truncate(mnt + '/big', 1),
  lambda: os.chmod(mnt + '/big', 0), lambda: os.utime(mnt + '/big'), lambda: os.setxattr(mnt + '/big', 'user.raw', b''),
  lambda: os.symlink('a', mnt + '/s'), lambda: os.stat(mnt + '/none'), lambda: os.stat(mnt + '/big/x')]]))`,
    );
    expect(seen).toEqual([30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 2, 20]);
  });

  test('tells the size of a volume that has more blocks than 32 bits count', async () => {
    const { stdout } = await run('stat', ['-f', '-c', '%S %b %f %l %d', mnt]);
    const [blockBytes = 0, blocks = 0, free = 0, nameMax, filesFree] = stdout
      .split(' ')
      .map(Number);
    expect(blockBytes * blocks).toBeCloseTo(2 ** 50, -20);
    expect(free / blocks).toBeCloseTo(0.5);
    expect([nameMax, filesFree]).toEqual([255, 1000]);
    expect((await run('findmnt', ['-no', 'SOURCE,FSTYPE', mnt])).stdout.trim()).toBe(
      'JuiceFS:a,b fuse.cachemesh',
    );
  });

  test('lists names that are not UTF-8, but never opens another file in their place', async () => {
    tree.add(ROOT_INO, '\xff', {}, Buffer.from('raw bytes'));
    tree.add(ROOT_INO, Buffer.from('\u{fffd}').toString('latin1'), {}, Buffer.from('replacement'));
    const seen = await python(
      mnt,
      `
def read(name):
    try:
        return open(mnt.encode() + b'/' + name, 'rb').read().decode()
    except OSError as e:
        return e.errno
print(json.dumps([len(os.listdir(mnt)), read(b'\\xff'), read('\\ufffd'.encode())]))`,
    );
    expect(seen).toEqual([5, 84, 84]);
  });

  test('answers EIO to a failure that is not an errno, and counts it', async () => {
    driver.invalidateInode(ROOT_INO);
    tree.failGetattr = () => new TypeError('a bug');
    await expect(run('stat', [mnt])).rejects.toThrow('Input/output error');
    expect(metrics.value('fuse_native_failures')).toBeGreaterThan(0);
    tree.failGetattr = () => new FsErrorLike();
    await expect(run('stat', [mnt])).rejects.toThrow('Input/output error');
    tree.failGetattr = undefined;
    await run('stat', [mnt]);
  });

  test('looks a name up once, and again when it was invalidated', async () => {
    await run('cat', [`${mnt}/dir/ä`]);
    const { lookups } = tree;
    await run('cat', [`${mnt}/dir/ä`]);
    expect(tree.lookups).toBe(lookups);
    tree.remove(ROOT_INO, 'dir');
    await run('cat', [`${mnt}/dir/ä`]);
    driver.invalidateEntry(ROOT_INO, Buffer.from('dir'));
    await expect(run('cat', [`${mnt}/dir/ä`])).rejects.toThrow('No such file');
  });

  test('keeps an open file readable after its name is gone', async () => {
    const script = `import os, sys
fd = os.open(sys.argv[1] + '/dir/ä', os.O_RDONLY)
print('open', flush=True); input(); print(os.read(fd, 100).decode(), end='')`;
    const reader = spawn('python3', ['-c', script, mnt]);
    const output: string[] = [];
    reader.stdout.on('data', (chunk) => output.push(String(chunk)));
    await waitUntil('the reader has opened', async () => output.join('').includes('open'));
    tree.remove(ROOT_INO, 'dir');
    driver.invalidateEntry(ROOT_INO, Buffer.from('dir'));
    reader.stdin.end('go\n');
    await new Promise((resolve) => reader.once('close', resolve));
    expect(output.join('')).toBe('open\numlaut');
  });

  test('notices that the user has unmounted', async () => {
    await run('fusermount', ['-u', mnt]);
    await driver.closed;
    expect(tree.references.size).toBe(0);
  });

  test('stops while a file is open', async () => {
    const reader = spawn('sh', ['-c', 'exec 3<"$1/big"; echo open; read x', '-', mnt]);
    await new Promise((resolve) => reader.stdout.once('data', resolve));
    await driver.stop();
    await driver.closed;
    expect(await mountedDevice(mnt)).toBeUndefined();
    reader.stdin.end('\n');
    await new Promise((resolve) => reader.once('close', resolve));
  });

  test('refuses a mountpoint that does not exist', async () => {
    const options = { sourceName: 'x', caller: { uid: 0, gid: 0, pid: 0 }, clock: systemClock };
    const other = new NativeDriver(tree, {
      ...options,
      ...{ mountpoint: `${mnt}-none`, logger: silentLogger, metrics },
    });
    await expect(other.start()).rejects.toThrow('ENOENT');
    await other.stop();
  });
});

/** Has the looks of a POSIX error without being one. */
class FsErrorLike extends Error {
  readonly errno = 2;
  readonly code = 'ENOENT';
}
