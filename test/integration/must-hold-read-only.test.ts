import { openSync } from 'node:fs';
import {
  access,
  chmod,
  chown,
  constants,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { runToEnd } from '../servers/cli.ts';
import { compareTree } from '../servers/compare-tree.ts';
import { startDaemon, type TestDaemon } from '../servers/daemons.ts';
import { type LoadedFixture, loadFixture } from '../servers/fixtures.ts';
import { makeSyntheticVolume, type SyntheticVolume } from '../servers/synthetic-volume.ts';

describe('nothing can be changed', () => {
  let volume: SyntheticVolume;
  let daemon: TestDaemon;
  let before: string[];
  const at = (path: string) => join(daemon.mountpoint, path);

  beforeAll(async () => {
    volume = await makeSyntheticVolume({ bucket: await folderBucket() });
    await volume.addFile('directory/file', 1000);
    await volume.addFile('other', 1000);
    await volume.addDirectory('empty');
    daemon = await startDaemon({ metaUrl: volume.metaUrl, args: ['--cache-dir', 'memory'] });
    before = await readdir(daemon.mountpoint, { recursive: true });
  });

  afterAll(async () => {
    await daemon?.stop();
    await volume?.stop();
  });

  const changes: readonly [string, () => Promise<unknown>][] = [
    ['mkdir', () => mkdir(at('new'))],
    ['rmdir', () => rmdir(at('empty'))],
    ['create', () => open(at('new'), 'wx')],
    ['open for writing', () => open(at('other'), 'r+')],
    ['open for appending', () => open(at('other'), 'a')],
    ['open and truncate', () => open(at('other'), 'w')],
    ['unlink', () => unlink(at('other'))],
    ['rename', () => rename(at('other'), at('renamed'))],
    ['rename over a file', () => rename(at('other'), at('directory/file'))],
    ['link', () => link(at('other'), at('linked'))],
    ['symlink', () => symlink('other', at('symlinked'))],
    ['truncate', () => truncate(at('other'), 10)],
    ['chmod', () => chmod(at('other'), 0o600)],
    ['chown', () => chown(at('other'), 1, 1)],
    ['utimes', () => utimes(at('other'), 1, 1)],
  ];

  test.each(changes)('%s gives EROFS', async (_, change) => {
    await expect(change()).rejects.toMatchObject({ code: 'EROFS' });
  });

  test.each([
    ['setfattr', ['setfattr', '-n', 'user.new', '-v', '1']],
    ['setfattr that removes', ['setfattr', '-x', 'user.new']],
    ['mknod', ['mkfifo']],
  ] as const)('%s gives EROFS', async (name, command) => {
    const path = at(name === 'mknod' ? 'fifo' : 'other');
    const { status, stderr } = await runToEnd([...command, path]);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/Read-only file system/);
  });

  test('and nothing was changed', async () => {
    const after = await readdir(daemon.mountpoint, { recursive: true });
    expect(after).toEqual(before);
    expect((await stat(at('other'))).size).toBe(1000);
    expect((await readFile(at('directory/file'))).length).toBe(1000);
    // For the kernel it is writable, as a read-only mount of the original client is.
    await access(at('other'), constants.W_OK);
    expect(() => openSync(at('nowhere'), 'r+')).toThrow(/ENOENT/);
    await rm(at('nowhere'), { force: true });
  });
});

describe('access(2) with ACLs', () => {
  let fixture: LoadedFixture;
  let daemon: TestDaemon;

  beforeAll(async () => {
    fixture = await loadFixture('acl');
    daemon = await startDaemon({
      metaUrl: fixture.metaUrl,
      args: ['--bucket', fixture.bucket, '--fuse-driver', 'kernel', '--cache-dir', 'memory'],
    });
  });

  afterAll(async () => {
    await daemon?.stop();
    await fixture?.stop();
  });

  test('each credential may do what a real client let it do', async () => {
    const credentials = fixture.manifest.access ?? [];
    expect(credentials.length).toBeGreaterThan(0);
    for (const { uid, gid, groups, allowed } of credentials) {
      const found = await askAccess({ uid, gid, groups }, allowed.map(pathOf));
      const expected = allowed.map((entry) => `${entry.access} ${pathOf(entry)}`);
      expect(found, `uid ${uid} gid ${gid} groups ${groups.join()}`).toEqual(expected);
    }
  });

  test('the whole tree, attributes and rules', async () => {
    expect(await compareTree(daemon.mountpoint, fixture.manifest)).toEqual([]);
  });

  const pathOf = (entry: { path_b64: string }) =>
    Buffer.from(entry.path_b64, 'base64').toString('utf8');

  async function askAccess(
    { uid, gid, groups }: { uid: number; gid: number; groups: readonly number[] },
    paths: readonly string[],
  ): Promise<string[]> {
    const script = `cd "$0" && while IFS= read -r path; do
      target="./$path"; r=-; w=-; x=-
      [ -r "$target" ] && r=r; [ -w "$target" ] && w=w; [ -x "$target" ] && x=x
      printf '%s%s%s %s\\n' $r $w $x "$path"
    done`;
    const supplementary = groups.length === 0 ? ['--clear-groups'] : ['--groups', groups.join()];
    const { stdout, stderr } = await runToEnd(
      [
        ...['setpriv', '--reuid', String(uid), '--regid', String(gid), ...supplementary],
        ...['sh', '-c', script, daemon.mountpoint],
      ] as unknown as [string, ...string[]],
      { input: `${paths.join('\n')}\n` },
    );
    expect(stderr).toBe('');
    return stdout.trimEnd().split('\n');
  }
});
