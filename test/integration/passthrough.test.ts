import { randomBytes } from 'node:crypto';
import {
  appendFile,
  type FileHandle,
  mkdir,
  open,
  readFile,
  rename,
  stat,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { flipBit } from '../servers/damage.ts';
import { runCli, runToEnd } from '../servers/cli.ts';
import { startDaemon, type TestDaemon } from '../servers/daemons.ts';
import { filesBelow } from '../servers/damage.ts';
import { detach } from '../servers/mounted.ts';
import { startWriter, type WritableVolume, writableVolume } from '../servers/writable.ts';
import { waitUntil } from '../servers/wait-until.ts';

const ROUNDS = Number(process.env['CACHEMESH_PASSTHROUGH_ROUNDS'] ?? 120);
/** It takes a quarter of a second until the main thread notices that a file qualifies. */
const THROUGH_EVERY = 8;
const BLOCK = 64 * 1024;
/** What the log says of a mount that does it. */
const ON = 'the kernel reads small cached files by itself';

const READ_EVERY_WAY = fileURLToPath(new URL('../servers/read-every-way.py', import.meta.url));

const STORM = fileURLToPath(new URL('../servers/read-write-storm.py', import.meta.url));

describe('files that the kernel reads by itself', () => {
  let volume: WritableVolume;
  let writer: TestDaemon;
  let reader: TestDaemon;
  let copies: string;
  let isThere = false;

  const startReader = (dir?: string) =>
    startDaemon({
      ...{ metaUrl: volume.metaUrl, name: 'reader', ...(dir === undefined ? {} : { dir }) },
      args: [...volume.args, '--passthrough', 'on', '--memory-cache-size', '32'],
    });
  const written = (name: string) => join(writer.mountpoint, 'd', name);
  const seen = (name: string, by = reader) => join(by.mountpoint, 'd', name);
  const opens = (outcome: string, by = reader) =>
    by.metric('juicefs_fuse_passthrough_opens_total', `outcome="${outcome}"`);
  const reads = (by = reader) => by.metric('juicefs_fuse_reads_total');

  /** Until an open of the file is one by which the kernel reads by itself. @returns that handle */
  async function openThrough(name: string, by = reader): Promise<FileHandle> {
    let handle: FileHandle | undefined;
    await waitUntil(`${name} to be read by the kernel`, async () => {
      await readFile(seen(name, by));
      const before = await opens('through', by);
      handle = await open(seen(name, by), 'r');
      if ((await opens('through', by)) > before) return true;
      await handle.close();
      return false;
    });
    return handle as FileHandle;
  }

  async function make(name: string, sizeBytes: number): Promise<Buffer> {
    const content = randomBytes(sizeBytes);
    await writeFile(written(name), content);
    await writeFile(join(copies, name), content);
    return content;
  }

  async function contentOf(handle: FileHandle): Promise<Buffer> {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2 * BLOCK), 0, 2 * BLOCK, 0);
    return buffer.subarray(0, bytesRead);
  }

  const readEveryWay = (name: string, by = reader) =>
    runToEnd(['python3', READ_EVERY_WAY, seen(name, by), join(copies, name)]);

  beforeAll(async () => {
    volume = await writableVolume('redis', { blockKib: BLOCK / 1024 });
    writer = await startWriter(volume, { name: 'writer' });
    await mkdir(join(writer.mountpoint, 'd'));
    reader = await startReader();
    copies = join(reader.cacheDir, '..', 'copies');
    await mkdir(copies);
    isThere = (await reader.log()).includes(ON);
  });

  beforeEach((context) => {
    if (!isThere) context.skip('needs FUSE passthrough, which this kernel does not have');
  });

  afterAll(async () => {
    await Promise.all([writer?.stop(), reader?.stop()]);
    await volume?.stop();
  });

  test.each([1, 5000, 32_768, BLOCK - 1, BLOCK])(
    '%i bytes are right in every way, and no read comes',
    async (sizeBytes) => {
      const name = `every-way-${sizeBytes}`;
      const content = await make(name, sizeBytes);
      const handle = await openThrough(name);
      const before = await reads();
      expect((await contentOf(handle)).equals(content)).toBe(true);
      // Threads tell what they have read four times a second.
      await sleep(600);
      expect(await reads()).toBe(before);
      const checked = await readEveryWay(name);
      expect(checked).toMatchObject({ status: 0, stdout: '', stderr: '' });
      // Those of O_DIRECT.
      expect(await reads()).toBeLessThanOrEqual(before + 3);
      expect(await opens('direct')).toBeGreaterThan(0);
      await handle.close();
    },
  );

  test('without the option the same file is read by asking', async () => {
    await make('asked', 5000);
    const before = await reads(writer);
    const checked = await readEveryWay('asked', writer);
    expect(checked).toMatchObject({ status: 0, stdout: '', stderr: '' });
    await waitUntil('reads to be counted', async () => (await reads(writer)) > before);
    expect(await writer.metric('juicefs_fuse_passthrough_opens_total')).toBe(0);
    expect(await writer.log()).not.toContain(ON);
  });

  describe('what another mount has changed', () => {
    test.each([
      ['overwritten with the same length', 5000],
      ['overwritten with another length', 7001],
    ])('%s: a new open sees it, the old handle goes on', async (how, sizeBytes) => {
      const name = how.replaceAll(' ', '-');
      const before = await make(name, 5000);
      const old = await openThrough(name);
      const after = await make(name, sizeBytes);
      const moved = await opens('moved');
      expect((await readFile(seen(name))).equals(after)).toBe(true);
      expect(await opens('moved')).toBe(moved + 1);
      // Also by a map, which must not be one of the old file.
      const checked = await readEveryWay(name);
      expect(checked).toMatchObject({ status: 0, stdout: '', stderr: '' });
      expect((await contentOf(old)).equals(before)).toBe(true);
      const { ino } = await stat(written(name));
      expect([(await stat(seen(name))).ino, (await old.stat()).ino]).toEqual([ino, ino]);
      await old.close();
      expect((await readFile(seen(name))).equals(after)).toBe(true);
    });

    test('renamed over, and unlinked: the old handle goes on', async () => {
      const before = await make('replaced', 5000);
      const old = await openThrough('replaced');
      const after = await make('replacement', 6000);
      await rename(written('replacement'), written('replaced'));
      await waitUntil('the name to lead to the other file', async () =>
        (await readFile(seen('replaced'))).equals(after),
      );
      expect((await contentOf(old)).equals(before)).toBe(true);
      await unlink(written('replaced'));
      await waitUntil('the name to go', () =>
        stat(seen('replaced')).then(
          () => false,
          () => true,
        ),
      );
      expect((await contentOf(old)).equals(before)).toBe(true);
      await old.close();
    });

    test(`${ROUNDS} times overwritten and read: no old byte after an open`, {
      timeout: 240_000,
    }, async () => {
      // Each file is once opened so that the kernel reads it, and overwritten meanwhile.
      const throughs = Math.ceil(ROUNDS / THROUGH_EVERY);
      // Odd, so that each turn of the kernel's is another file's: one that moved is left alone for a while.
      const files = throughs + ((throughs + 1) % 2);
      const kept = new Map<string, { handle: FileHandle; content: Buffer }>();
      const [through, moved] = [await opens('through'), await opens('moved')];
      for (let round = 0; round < ROUNDS; round += 1) {
        const name = `round-${round % files}`;
        const sizeBytes = round % 3 === 0 ? 5000 : 1 + ((round * 7919) % BLOCK);
        const content = randomBytes(sizeBytes);
        await writeFile(written(name), content);
        expect((await readFile(seen(name))).equals(content), `round ${round}`).toBe(true);
        const old = kept.get(name);
        const isWhole = old && (await contentOf(old.handle)).equals(old.content);
        expect(isWhole ?? true, `round ${round}`).toBe(true);
        if (old !== undefined && round % 2 === 0) {
          await old.handle.close();
          kept.delete(name);
        }
        if (round % THROUGH_EVERY !== 0) continue;
        const handle = await openThrough(name);
        expect((await contentOf(handle)).equals(content), `round ${round}`).toBe(true);
        kept.set(name, { handle, content });
      }
      await Promise.all([...kept.values()].map(({ handle }) => handle.close()));
      expect((await opens('through')) - through).toBeGreaterThanOrEqual(throughs);
      // Those of the last turn are not overwritten.
      const overwritten = throughs - Math.ceil(files / THROUGH_EVERY);
      expect((await opens('moved')) - moved).toBeGreaterThanOrEqual(overwritten);
    });
  });

  test('evicted: its bytes are read from elsewhere, the old handle goes on', async () => {
    const content = await make('evicted', 5000);
    const old = await openThrough('evicted');
    const evicted = await runCli(['warmup', '--evict', seen('evicted')]);
    expect(evicted.status).toBe(0);
    const moved = await opens('moved');
    expect((await readFile(seen('evicted'))).equals(content)).toBe(true);
    expect(await opens('moved')).toBe(moved + 1);
    expect((await contentOf(old)).equals(content)).toBe(true);
    expect(await reader.metric('juicefs_fuse_passthrough_files')).toBeGreaterThan(0);
    await old.close();
  });

  test('no handle, no file that the kernel holds', async () => {
    await waitUntil('the kernel to hold nothing', async () => {
      // A close is noted when something else happens.
      await stat(reader.mountpoint);
      return (await reader.metric('juicefs_fuse_passthrough_files')) === 0;
    });
    expect(await reader.metric('juicefs_fuse_passthrough_bytes')).toBe(0);
  });

  test('damaged cache files are not handed to the kernel', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `damaged-${index}`);
    const contents = await Promise.all(names.map((name, index) => make(name, 3000 + 5000 * index)));
    const blocks = async () =>
      (await filesBelow(reader.cacheDir)).filter((path) => path.includes('/blocks/'));
    const before = (await blocks()).length;
    await waitUntil('all files to be cached', async () => {
      for (const name of names) await readFile(seen(name));
      return (await blocks()).length >= before + names.length;
    });
    await reader.stop();
    for (const [index, path] of (await blocks()).entries()) {
      if (index % 3 === 0) await truncate(path, 100);
      else if (index % 3 === 1) await flipBit(path);
    }
    reader = await startReader(join(reader.cacheDir, '..'));
    for (let round = 0; round < 3; round += 1) {
      for (const [index, name] of names.entries()) {
        const found = await readFile(seen(name));
        expect(found.equals(contents[index] as Buffer), `${name}, round ${round}`).toBe(true);
        await sleep(10);
      }
    }
    for (const [index, name] of names.entries()) {
      const handle = await openThrough(name);
      expect((await contentOf(handle)).equals(contents[index] as Buffer)).toBe(true);
      await handle.close();
    }
    expect(await reader.metric('juicefs_blockcache_damaged')).toBeGreaterThan(0);
  });

  describe('on a mount that can write', () => {
    let both: TestDaemon;
    const at = (name: string) => seen(name, both);

    beforeAll(async () => {
      if (!isThere) return;
      both = await startWriter(volume, {
        name: 'both',
        args: ['--passthrough', 'on', '--cache-dir', join(reader.cacheDir, '..', 'both')],
      });
    });

    afterAll(async () => {
      await both?.stop();
    });

    test('who writes does not write into the cache, and is read by later opens', async () => {
      const before = await make('written', 5000);
      const old = await openThrough('written', both);
      // Through a shared map, too: with the old backing file it would change the cache.
      const program = `
import mmap, os, sys
f = os.open(sys.argv[1], os.O_RDWR)
os.pwrite(f, b'written', 0)
m = mmap.mmap(f, 0); m[100:106] = b'mapped'; m.flush(); os.fsync(f); os.close(f)`;
      const wrote = await runToEnd(['python3', '-c', program, at('written')]);
      expect(wrote).toMatchObject({ status: 0, stderr: '' });
      const after = Buffer.from(before);
      after.write('written', 0);
      after.write('mapped', 100);
      for (const path of [at('written'), seen('written'), written('written')]) {
        expect((await readFile(path)).equals(after)).toBe(true);
      }
      expect((await contentOf(old)).equals(before)).toBe(true);
      await old.close();
      expect((await readFile(at('written'))).equals(after)).toBe(true);
    });

    test('appending, truncating, replacing and removing beside an old handle', async () => {
      const before = await make('changed', 5000);
      const old = await openThrough('changed', both);
      await appendFile(at('changed'), 'more');
      expect(
        (await readFile(at('changed'))).equals(Buffer.concat([before, Buffer.from('more')])),
      ).toBe(true);
      await truncate(at('changed'), 77);
      expect((await readFile(at('changed'))).equals(before.subarray(0, 77))).toBe(true);
      await writeFile(at('changed'), 'new');
      expect(await readFile(at('changed'), 'utf8')).toBe('new');
      await writeFile(at('beside'), 'beside');
      await rename(at('beside'), at('changed'));
      expect(await readFile(at('changed'), 'utf8')).toBe('beside');
      await unlink(at('changed'));
      expect((await contentOf(old)).equals(before)).toBe(true);
      await old.close();
    });

    test('while somebody writes nobody reads by himself', async () => {
      await make('busy', 5000);
      await (await openThrough('busy', both)).close();
      const handle = await open(at('busy'), 'r+');
      await handle.write('text', 0);
      const through = await opens('through', both);
      expect((await readFile(at('busy'))).subarray(0, 4).toString()).toBe('text');
      expect(await opens('through', both)).toBe(through);
      await handle.close();
    });

    test('many threads that open, read and overwrite meet no error and no torn file', async () => {
      for (let file = 0; file < 4; file += 1)
        await writeFile(at(`storm-${file}`), String(file).repeat(3000));
      const ended = await runToEnd(['python3', STORM, join(both.mountpoint, 'd')]);
      expect(ended).toMatchObject({ status: 0, stdout: '', stderr: '' });
    });
  });

  test('a daemon that is killed leaves nobody stuck', async () => {
    const content = await make('killed', 5000);
    const old = await openThrough('killed');
    await reader.process.stop('SIGKILL');
    // What the kernel has it may go on to give; it must not hang.
    const found = await contentOf(old).catch((error: NodeJS.ErrnoException) => error.code);
    expect(['ENOTCONN', content]).toContainEqual(found);
    await expect(open(seen('killed'), 'r')).rejects.toMatchObject({ code: 'ENOTCONN' });
    await old.close();
    await detach(reader.mountpoint);
  });
});
