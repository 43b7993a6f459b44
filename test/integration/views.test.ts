import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { flipBit } from '../servers/damage.ts';
import { runToEnd } from '../servers/cli.ts';
import { runHere } from '../servers/cli-here.ts';
import { startDaemon, type TestDaemon } from '../servers/daemons.ts';
import { filesBelow } from '../servers/damage.ts';
import { canMountDisks, type LoopDisk, makeLoopDisk } from '../servers/loop-disk.ts';
import { makeTempDir } from '../servers/temp.ts';
import { waitUntil } from '../servers/wait-until.ts';
import { startWriter, type WritableVolume, writableVolume } from '../servers/writable.ts';

const ROUNDS = Number(process.env['CACHEMESH_PASSTHROUGH_ROUNDS'] ?? 40);
/** Each so many rounds a file is opened so that the kernel reads it, and overwritten meanwhile. */
const THROUGH_EVERY = 8;
const BLOCK = 64 * 1024;
const PAGE = 4096;
/** What the log says of a mount whose disk can do it, and of one whose disk can not. */
const ON = 'the kernel reads big cached files by itself once they have a view';
const OFF = 'files of more than one block are read through the daemon';
const READ_EVERY_WAY = fileURLToPath(new URL('../servers/read-every-way.py', import.meta.url));

/** Where bytes of a file are written, each time in a slice of their own; what lies between is a hole. */
type Writes = readonly { readonly at: number; readonly length: number }[];

const whole = (length: number): Writes => [{ at: 0, length }];
const FILES: Readonly<Record<string, Writes>> = {
  'two-blocks': whole(2 * BLOCK),
  'a-byte-more': whole(2 * BLOCK + 1),
  'a-byte-less': whole(3 * BLOCK - 1),
  'pages-and-bytes': whole(5 * BLOCK + 3 * PAGE + 17),
  'hole-between': [...whole(BLOCK + 100), { at: 4 * BLOCK, length: BLOCK }],
  'hole-first': [{ at: 3 * BLOCK + PAGE, length: BLOCK + 5 }],
  'over-each-other': [...whole(4 * BLOCK), { at: BLOCK + PAGE, length: 2 * PAGE }],
  'new-end': [...whole(2 * BLOCK + 99), { at: 2 * BLOCK, length: 500 }],
};
const FAR: Writes = [...whole(2 * BLOCK), { at: 2 ** 26 + PAGE, length: BLOCK + 1 }];
/** Its second slice begins beside a page. */
const ODD: Writes = [...whole(2 * BLOCK), { at: 1000, length: BLOCK }];

describe('big files that the kernel reads by itself', () => {
  let volume: WritableVolume;
  let writer: TestDaemon;
  let disk: LoopDisk;
  let reader: TestDaemon;
  let copies: string;
  let isThere = false;
  const contents = new Map<string, Buffer>();

  const startReader = (cache: string) =>
    startDaemon({
      ...{ metaUrl: volume.metaUrl, name: 'reader' },
      args: [
        ...volume.args,
        ...['--read-write', '--passthrough', 'on', '--memory-cache-size', '32'],
        ...['--free-space-ratio', '0.01', '--cache-dir', cache],
      ],
    });
  const written = (name: string) => join(writer.mountpoint, 'd', name);
  const seen = (name: string) => join(reader.mountpoint, 'd', name);
  const metric = (name: string, label?: string) => reader.metric(`juicefs_${name}`, label);
  const opens = (outcome: string) => metric('fuse_passthrough_opens_total', `outcome="${outcome}"`);
  const pin = (...names: string[]) =>
    runHere(['warmup', '--pin', ...names.map((name) => seen(name))]);
  const cached = () => join(disk.dir, 'cache');

  async function make(name: string, writes: Writes): Promise<Buffer> {
    const content = Buffer.alloc(Math.max(...writes.map(({ at, length }) => at + length)));
    const file = await open(written(name), 'w');
    for (const { at, length } of writes) {
      const bytes = randomBytes(length);
      content.set(bytes, at);
      await file.write(bytes, 0, length, at);
      await file.sync();
    }
    await file.close();
    await writeFile(join(copies, name), content);
    contents.set(name, content);
    return content;
  }

  async function pinned(name: string): Promise<void> {
    const { status, stderr, stdout } = await pin(name);
    const wanted = { status: 0, stderr: '', stdout: expect.stringContaining('1 with a view') };
    expect({ status, stderr, stdout }).toEqual({ ...wanted, stderr });
  }

  /** Opens a file that has a view. */
  async function openThrough(name: string): Promise<FileHandle> {
    const before = await opens('through');
    const handle = await open(seen(name), 'r');
    expect(await opens('through')).toBe(before + 1);
    return handle;
  }

  async function contentOf(handle: FileHandle, lengthMax = 8 * BLOCK): Promise<Buffer> {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(lengthMax), 0, lengthMax, 0);
    return buffer.subarray(0, bytesRead);
  }

  const readEveryWay = (...names: string[]) =>
    runToEnd([
      ...(['python3', READ_EVERY_WAY] as const),
      ...names.flatMap((name) => [seen(name), join(copies, name)]),
    ]);

  beforeAll(async () => {
    // As for passthrough itself.
    if (!canMountDisks) return;
    volume = await writableVolume('redis', { blockKib: BLOCK / 1024 });
    [writer, disk, copies] = await Promise.all([
      startWriter(volume, { name: 'writer' }),
      makeLoopDisk('xfs', 320),
      makeTempDir('copies'),
    ]);
    reader = await startReader(cached());
    isThere = (await reader.log()).includes('the kernel reads small cached files by itself');
    await mkdir(written(''));
    for (const [name, writes] of Object.entries(FILES)) await make(name, writes);
  });

  beforeEach((context) => {
    if (!isThere) context.skip('needs FUSE passthrough, which this kernel does not have');
  });

  afterAll(async () => {
    await Promise.all([writer?.stop(), reader?.stop()]);
    await Promise.all([volume?.stop(), disk?.stop()]);
  });

  test('the log says that it is done, and files are prepared at once when told so', async () => {
    expect(await reader.log()).toContain(ON);
    expect(await reader.log()).not.toContain(OFF);
    const names = Object.keys(FILES);
    const { status, stdout } = await pin(...names);
    expect([status, stdout]).toEqual([0, expect.stringContaining(`${names.length} with a view`)]);
    expect(await metric('blockcache_views')).toBe(names.length);
  });

  test('they are right in every way', async () => {
    const checked = await readEveryWay(...Object.keys(FILES));
    expect(checked).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(await opens('through')).toBe(Object.keys(FILES).length);
    expect(await opens('direct')).toBe(Object.keys(FILES).length);
  });

  test('no read comes', async () => {
    await make('far', FAR);
    await pinned('far');
    const before = await metric('fuse_reads_total');
    for (const [name, content] of contents) {
      const handle = await openThrough(name);
      const found = await contentOf(handle, content.length + 1);
      expect([name, found.equals(content)]).toEqual([name, true]);
      await handle.close();
    }
    // Threads tell what they have read four times a second.
    await sleep(600);
    expect(await metric('fuse_reads_total')).toBe(before);
  });

  test('cut short, and made longer', async () => {
    const content = await make('cut', whole(6 * BLOCK));
    let kept = content.length;
    for (const length of [4 * BLOCK + 100, 3 * BLOCK, 5 * BLOCK + 7]) {
      await truncate(written('cut'), length);
      kept = Math.min(kept, length);
      const left = Buffer.concat([content.subarray(0, kept), Buffer.alloc(length - kept)]);
      await writeFile(join(copies, 'cut'), left);
      await pinned('cut');
      expect(await readEveryWay('cut')).toMatchObject({ status: 0, stdout: '', stderr: '' });
    }
  });

  test('slices beside pages: no view, and the command says why', async () => {
    const content = await make('odd', ODD);
    const { status, stdout } = await pin('odd');
    expect([status, stdout]).toEqual([1, expect.stringContaining('beside the pages')]);
    const before = await opens('through');
    expect((await readFile(seen('odd'))).equals(content)).toBe(true);
    expect(await opens('through')).toBe(before);
  });

  test('a file of one block needs no view', async () => {
    await make('small', whole(5000));
    const { status, stdout } = await pin('small');
    expect([status, stdout]).toEqual([0, expect.stringContaining('0 with a view')]);
  });

  test('without being told: from the second open on', async () => {
    const content = await make('often', whole(4 * BLOCK + 1));
    const before = await opens('through');
    await waitUntil('an open by which the kernel reads', async () => {
      expect((await readFile(seen('often'))).equals(content)).toBe(true);
      return (await opens('through')) > before;
    });
  });

  test(`${ROUNDS} times overwritten on another mount and read: no old byte after an open`, {
    timeout: 600_000,
  }, async () => {
    const throughs = Math.ceil(ROUNDS / THROUGH_EVERY);
    // Odd, so that each turn of the kernel's is another file's: one that moved is left alone for a while.
    const files = throughs + ((throughs + 1) % 2);
    const kept = new Map<string, { handle: FileHandle; content: Buffer }>();
    const moved = await opens('moved');
    for (let round = 0; round < ROUNDS; round += 1) {
      const name = `round-${round % files}`;
      const length = 2 * BLOCK + ((round * 7919) % (3 * BLOCK));
      const at = PAGE * (1 + (round % 20));
      const some = [...whole(length), { at, length: 2 * PAGE }];
      const content = await make(name, round % 3 === 0 ? some : whole(length));
      expect([round, (await readFile(seen(name))).equals(content)]).toEqual([round, true]);
      const old = kept.get(name);
      const isWhole = old && (await contentOf(old.handle)).equals(old.content);
      expect([round, isWhole ?? true]).toEqual([round, true]);
      if (old !== undefined && round % 2 === 0) {
        await old.handle.close();
        kept.delete(name);
      }
      if (round % THROUGH_EVERY !== 0) continue;
      await pinned(name);
      const handle = await openThrough(name);
      expect([round, (await contentOf(handle)).equals(content)]).toEqual([round, true]);
      kept.set(name, { handle, content });
    }
    await Promise.all([...kept.values()].map(({ handle }) => handle.close()));
    // Those of the last turn are not overwritten.
    const overwritten = throughs - Math.ceil(files / THROUGH_EVERY);
    expect((await opens('moved')) - moved).toBeGreaterThanOrEqual(overwritten);
  });

  test('evicted: read from elsewhere; the old handle goes on, and its room is counted', async () => {
    const content = await make('evicted', whole(3 * BLOCK));
    await pinned('evicted');
    const old = await openThrough('evicted');
    expect((await runHere(['warmup', '--evict', seen('evicted')])).status).toBe(0);
    expect(await metric('blockcache_view_kept_bytes')).toBe(3 * BLOCK);
    expect((await readFile(seen('evicted'))).equals(content)).toBe(true);
    expect((await contentOf(old)).equals(content)).toBe(true);
    await old.close();
    await waitUntil('the room to be given back', async () => {
      // A close is noted when something else happens.
      await readFile(seen('small'));
      return (await metric('blockcache_view_kept_bytes')) === 0;
    });
  });

  test('who writes on the same mount does not write into the view', async () => {
    const before = await make('written', whole(3 * BLOCK));
    await pinned('written');
    const old = await openThrough('written');
    const program = `
import mmap, os, sys
f = os.open(sys.argv[1], os.O_RDWR)
os.pwrite(f, b'written', ${BLOCK})
m = mmap.mmap(f, 0); m[100:106] = b'mapped'; m.flush(); os.fsync(f); os.close(f)`;
    const wrote = await runToEnd(['python3', '-c', program, seen('written')]);
    expect(wrote).toMatchObject({ status: 0, stderr: '' });
    const after = Buffer.from(before);
    after.write('written', BLOCK);
    after.write('mapped', 100);
    for (const path of [seen('written'), written('written')]) {
      expect((await readFile(path)).equals(after)).toBe(true);
    }
    expect((await contentOf(old)).equals(before)).toBe(true);
    await old.close();
    expect((await readFile(seen('written'))).equals(after)).toBe(true);
  });

  test('after a restart nothing is left of views; bad blocks do not get into new ones', async () => {
    await reader.stop();
    expect((await filesBelow(cached())).filter((path) => path.includes('view-'))).toEqual([]);
    const blocks = (await filesBelow(cached())).filter((path) => path.includes('/blocks/'));
    for (const [index, path] of blocks.entries()) if (index % 3 === 0) await flipBit(path);
    reader = await startReader(cached());
    const names = Object.keys(FILES);
    expect((await pin(...names)).stdout).toContain('not all of its blocks stayed');
    expect(await metric('blockcache_damaged')).toBeGreaterThan(0);
    await waitUntil('views of good blocks', async () => (await pin(...names)).status === 0);
    expect(await metric('blockcache_views')).toBe(names.length);
    const checked = await readEveryWay(...names);
    expect(checked).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  test('on ext4 files are read by asking, and the log says once what is missed', async () => {
    await reader.stop();
    const ext4 = await makeLoopDisk('ext4', 64);
    reader = await startReader(join(ext4.dir, 'cache'));
    try {
      expect((await reader.log()).split(OFF)).toHaveLength(2);
      expect(await pin('often')).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('has no reflinks'),
      });
      for (let round = 0; round < 3; round += 1) {
        expect((await readFile(seen('often'))).equals(contents.get('often') as Buffer)).toBe(true);
      }
      expect(await opens('through')).toBe(0);
    } finally {
      await reader.stop();
      await ext4.stop();
    }
  });
});
