import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contradictions } from '../contract/check-state.ts';
import { sqliteState } from '../contract/sqlite-state.ts';
import { runCli } from '../servers/cli.ts';
import { startDaemon, type TestDaemon } from '../servers/daemons.ts';
import { hasStock, runStock } from '../servers/stock.ts';
import { makeTempDir } from '../servers/temp.ts';

let dir: string;
let metaUrl: string;
let node: TestDaemon;

beforeAll(async () => {
  dir = await makeTempDir('rmr');
  metaUrl = `sqlite3://${join(dir, 'meta.db')}`;
  await runCli(['format', metaUrl, 'volume', '--bucket', join(dir, 'bucket')]);
  const args = ['--read-write', '--cache-dir', 'memory', '--memory-cache-size', '64'];
  node = await startDaemon({ metaUrl, args });
  for (const name of ['one', 'two', 'three']) await makeTree(join(node.mountpoint, name));
});

afterAll(async () => {
  await node?.stop();
});

/** 4 directories with 12 files, whose names are not all text. */
async function makeTree(root: string): Promise<void> {
  for (const each of ['a/b', 'c']) await mkdir(join(root, each), { recursive: true });
  for (let index = 0; index < 10; index += 1) {
    await writeFile(join(root, 'a', `file-${index}`), Buffer.alloc(index * 1000, 1));
  }
  await writeFile(Buffer.concat([Buffer.from(join(root, 'a/b/odd')), Buffer.of(0xff)]), 'x');
  await symlink('nowhere', join(root, 'c', 'link'));
}

interface Sums {
  readonly path: string;
  readonly spaceBytes: string;
  readonly dirs: number;
  readonly files: number;
  readonly children?: readonly Sums[];
}

/** Without the place where the tree is. */
function relative({ path, spaceBytes, dirs, files, children = [] }: Sums, root: string): unknown {
  const below = children.map((child) => relative(child, root));
  return [path.slice(root.length), spaceBytes, dirs, files, ...below];
}

/** Without virtual files and the trash. */
async function namesIn(mountpoint: string): Promise<string[]> {
  return (await readdir(mountpoint)).filter((name) => !name.startsWith('.'));
}

test('a summary is the same through the mount and by the metadata', async () => {
  const mounted = join(node.mountpoint, 'one');
  const options = ['--json', '--entries', '3'];
  const [through, by] = await Promise.all([
    runCli(['summary', mounted, ...options]),
    runCli(['summary', metaUrl, '/one', ...options]),
  ]);
  const [sums] = JSON.parse(through.stdout) as [Sums];
  // Files of 0 to 9000 bytes take 5 × 1, 4 × 2 and 1 × 3 pages; all else takes one.
  const ofA = ['/a', String(4096 * (16 + 3)), 2, 11];
  expect(relative(sums, mounted)).toEqual([
    ...['', String(4096 * (16 + 3 + 3)), 4, 12],
    [
      ...ofA,
      ['/a/file-9', '12288', 0, 1],
      ['/a/b', '8192', 1, 1],
      ['/a/file-5', '8192', 0, 1],
      ['/a/...', String(4096 * (19 - 1 - 7)), 0, 8],
    ],
    ['/c', '8192', 1, 1, ['/c/link', '4096', 0, 1]],
  ]);
  const [same] = JSON.parse(by.stdout) as [Sums];
  expect(relative(same, '/one')).toEqual(relative(sums, mounted));
  // Of all of it: virtual files and the trash do not count.
  const all = await runCli(['summary', node.mountpoint, '--json', '--depth', '0']);
  expect(JSON.parse(all.stdout)).toMatchObject([{ dirs: 13, files: 36 }]);
});

test('a summary as a table, of a tree and of a file', async () => {
  const { stdout } = await runCli(['summary', metaUrl, '/one', '/two/a/file-9', '--depth', '0']);
  expect(stdout).toMatch(/\/one\/ .*88\.0 KiB.* 4 .* 12 /);
  expect(stdout).toMatch(/\/two\/a\/file-9 .*12\.0 KiB.* 0 .* 1 /);
  expect(stdout).not.toContain('/one/a');
});

test('what is removed is gone, through the mount, to the trash, and for good; the books are right', async () => {
  const removed = { files: 12, dirs: 4, failed: 0, failures: [] };
  const places = [
    [join(node.mountpoint, 'one')],
    [metaUrl, '/two'],
    [metaUrl, '/three', '--skip-trash'],
  ];
  for (const words of places) {
    const { status, stdout, stderr } = await runCli(['rmr', ...words, '--json']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual(removed);
  }
  expect(await namesIn(node.mountpoint)).toEqual([]);
  const inTrash = await runCli(['summary', metaUrl, '/.trash', '--json', '--depth', '0']);
  // Two trees, the hour and the trash itself; hour and trash have taken 4096 each.
  expect(JSON.parse(inTrash.stdout)).toMatchObject([{ files: 24, dirs: 10 }]);
  const database = new DatabaseSync(join(dir, 'meta.db'));
  expect(contradictions(sqliteState(database))).toEqual([]);
  const emptied = await runCli(['rmr', metaUrl, '/.trash', '--skip-trash', '--json']);
  expect(JSON.parse(emptied.stdout)).toEqual({ files: 24, dirs: 8, failed: 0, failures: [] });
  const state = sqliteState(database);
  expect(contradictions(state)).toEqual([]);
  // Only the trash with its hour is left, and no object.
  expect([state.edges.length, state.chunks.size, state.deleted.size]).toEqual([1, 0, 0]);
  database.close();
  const objects = await readdir(join(dir, 'bucket'), { recursive: true, withFileTypes: true });
  expect(objects.filter((each) => each.isFile()).map(({ name }) => name)).toEqual(['juicefs_uuid']);
});

test.skipIf(!hasStock)('the original client finds nothing wrong afterwards', async () => {
  expect(await runStock(['fsck', metaUrl])).toMatchObject({ status: 0 });
});

test('what is wrong is named, and nothing is removed', async () => {
  await mkdir(join(node.mountpoint, 'kept'));
  const wrong: readonly (readonly [words: readonly string[], message: string])[] = [
    [['rmr', metaUrl], 'which path'],
    [['rmr', metaUrl, '/kept', '/nothing'], '/nothing: there is no such'],
    [['rmr', metaUrl, '/'], 'name what is to be removed'],
    [['rmr', join(node.mountpoint, 'kept'), '--skip-trash'], '--skip-trash: needs META-URL'],
    [['summary', metaUrl, '/kept', '--depth', 'x'], '--depth: "x"'],
  ];
  const runs = wrong.map(([words]) => runCli(words));
  (await Promise.all(runs)).forEach(({ status, stderr }, index) => {
    expect(status).toBe(2);
    expect(stderr).toContain(wrong[index]?.[1]);
  });
  expect(await namesIn(node.mountpoint)).toEqual(['kept']);
});
