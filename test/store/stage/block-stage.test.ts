import { mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BlockKey, blockIdOf } from '../../../src/block/block-key.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { memoryMetrics } from '../../../src/runtime/metrics.ts';
import { systemRandom } from '../../../src/runtime/random.ts';
import { DiskIo } from '../../../src/store/disk-io.ts';
import { type FileCalls, systemFileCalls } from '../../../src/store/file-calls.ts';
import { StoreError } from '../../../src/store/object-store.ts';
import { BlockStage } from '../../../src/store/stage/block-stage.ts';
import { StageDisk } from '../../../src/store/stage/stage-disk.ts';
import { StagePaths } from '../../../src/store/stage/stage-layout.ts';
import { type ReadElsewhere, StageUploader } from '../../../src/store/stage/stage-uploader.ts';
import { StagedUpload } from '../../../src/store/stage/staged-upload.ts';
import { makeTempDir } from '../../servers/temp.ts';
import { waitUntil } from '../../servers/wait-until.ts';

const { signal } = new AbortController();
const VOLUME = { uuid: 'uuid', hashPrefix: false };

function keyOf(sliceId: number, sizeBytes: number): BlockKey {
  return { sliceId: BigInt(sliceId), index: 0, sizeBytes };
}

function bytesOf(key: BlockKey): Buffer {
  return Buffer.alloc(key.sizeBytes, `${blockIdOf(key)} `);
}

/** An object store that can be made to fail, or to wait. */
class FakeStorage {
  readonly objects = new Map<string, Buffer>();
  readonly removed: string[] = [];
  failures = 0;
  gate: Promise<void> = Promise.resolve();

  async put(key: BlockKey, plain: Uint8Array): Promise<void> {
    await this.gate;
    if (this.failures > 0) {
      this.failures -= 1;
      throw new StoreError('unavailable', 'away');
    }
    this.objects.set(blockIdOf(key), Buffer.from(plain));
  }

  async remove(key: BlockKey): Promise<void> {
    this.removed.push(blockIdOf(key));
    this.objects.delete(blockIdOf(key));
  }

  async has(key: BlockKey): Promise<boolean> {
    return this.objects.has(blockIdOf(key));
  }
}

interface Setup {
  readonly directories?: readonly string[];
  readonly files?: Partial<FileCalls>;
  readonly belowBytes?: number;
  readonly timeoutMs?: number;
  readonly writesMax?: number;
}

async function setUp(setup: Setup = {}) {
  const metrics = memoryMetrics();
  const directories = setup.directories ?? [await makeTempDir('stage')];
  const disks = directories.map((directory) => {
    const io = new DiskIo({ ...systemFileCalls, ...setup.files }, systemClock, 5_000);
    const space = { freeSpaceRatio: 0.01, fileMode: 0o600 };
    const parts = { directory, volume: VOLUME, ...space, io };
    return new StageDisk({ ...parts, clock: systemClock, logger: silentLogger });
  });
  const { belowBytes, timeoutMs = 5_000, writesMax = 100 } = setup;
  const shared = { clock: systemClock, logger: silentLogger, metrics };
  const stage = new BlockStage({ ...shared, disks, belowBytes, timeoutMs, writesMax });
  await stage.start();
  const storage = new FakeStorage();
  const upload = new StagedUpload(stage, storage);
  const startUploader = (options = {}, readElsewhere?: ReadElsewhere) => {
    const work = { uploadsMax: 2, delayMs: 0, hours: undefined, ...options };
    const uploader = new StageUploader({
      ...shared,
      random: systemRandom,
      stage,
      storage,
      ...work,
    });
    uploader.start(readElsewhere);
    return uploader;
  };
  const pathOf = (key: BlockKey) => new StagePaths(directories[0] as string, VOLUME).file(key);
  const read = async (key: BlockKey, offset = 0, length = key.sizeBytes) => {
    const into = Buffer.alloc(length);
    return (await stage.read(key, { offset, length }, into, signal)) ? into : undefined;
  };
  return { stage, storage, upload, startUploader, metrics, directories, pathOf, read };
}

describe('staged blocks', () => {
  test('can be read in any part, survive a restart, and are uploaded', async () => {
    const first = await setUp();
    const keys = [1, 32_768, 32_769, 300_000].map((size, at) => keyOf(1_000_999 + at, size));
    await Promise.all(keys.map((key) => first.upload.put(key, bytesOf(key), signal)));
    expect(first.stage.usage()).toEqual({ blocks: 4, bytes: 365_538 });
    expect(first.storage.objects.size).toBe(0);
    const again = await setUp({ directories: first.directories });
    expect(again.metrics.value('staging_block_bytes')).toBe(365_538);
    await fc.assert(
      fc.asyncProperty(fc.nat(3), fc.nat(), fc.nat(), async (at, from, to) => {
        const key = keys[at] as BlockKey;
        const offset = from % key.sizeBytes;
        const length = 1 + (to % (key.sizeBytes - offset));
        const found = await again.read(key, offset, length);
        expect(found?.equals(bytesOf(key).subarray(offset, offset + length))).toBe(true);
      }),
      { numRuns: 50 },
    );
    const uploader = again.startUploader();
    await waitUntil('uploads', () => again.stage.usage().blocks === 0);
    for (const key of keys) {
      expect(again.storage.objects.get(blockIdOf(key))?.equals(bytesOf(key))).toBe(true);
    }
    await uploader.stop();
    expect((await setUp({ directories: first.directories })).stage.usage().blocks).toBe(0);
  });

  test('an upload that fails is made again until the block has arrived', async () => {
    const { upload, storage, stage, startUploader, metrics } = await setUp();
    const uploader = startUploader();
    storage.failures = 2;
    await upload.put(keyOf(1, 100), bytesOf(keyOf(1, 100)), signal);
    await waitUntil('the upload', () => stage.usage().blocks === 0);
    expect(storage.objects.size).toBe(1);
    expect(metrics.value('staging_upload_retries')).toBe(2);
    await uploader.stop();
  });

  test('one that is dropped while it is uploaded leaves no object and no file', async () => {
    const { upload, storage, startUploader, pathOf } = await setUp();
    const gate = Promise.withResolvers<void>();
    storage.gate = gate.promise;
    const key = keyOf(1, 100);
    const uploader = startUploader();
    await upload.put(key, bytesOf(key), signal);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await upload.remove(key, signal);
    expect(storage.removed).toEqual(['1_0_100']);
    gate.resolve();
    await waitUntil('the object to be taken back', () => storage.removed.length === 2);
    expect(storage.objects.size).toBe(0);
    await expect(readdir(join(pathOf(key), '..'))).resolves.toEqual([]);
    await uploader.stop();
  });

  test('damaged ones stay in place unless the object store has them; vanished ones are told', async () => {
    const { upload, storage, stage, startUploader, metrics, pathOf, read } = await setUp();
    const keys = [1, 2, 3, 4].map((slice) => keyOf(slice, 70_000));
    for (const key of keys) await upload.put(key, bytesOf(key), signal);
    const [damaged, known, gone, goneKnown] = keys as [BlockKey, BlockKey, BlockKey, BlockKey];
    for (const key of [damaged, known]) {
      const wrong = Buffer.concat([bytesOf(key), Buffer.alloc(12)]);
      await writeFile(pathOf(key), wrong);
    }
    await expect(read(damaged, 40_000, 10)).rejects.toMatchObject({ code: 'damaged' });
    for (const key of [gone, goneKnown]) await rm(pathOf(key));
    for (const key of [known, goneKnown]) storage.objects.set(blockIdOf(key), bytesOf(key));
    const uploader = startUploader();
    await waitUntil('all to be settled', () => stage.usage().blocks === 0);
    expect(metrics.value('staging_damaged_blocks')).toBe(1);
    expect(metrics.value('staging_lost_blocks')).toBe(1);
    await expect(readdir(join(pathOf(damaged), '..'))).resolves.toEqual([blockIdOf(damaged)]);
    expect([stage.aside, stage.has(blockIdOf(damaged))]).toEqual([2, false]);
    // With its file the damage goes, too.
    for (const key of keys) await upload.remove(key, signal);
    await expect(readdir(join(pathOf(damaged), '..'))).resolves.toEqual([]);
    expect(stage.aside).toBe(0);
    await uploader.stop();
  });

  test('what its disk does not give any more is uploaded from a cache that has it', async () => {
    const fails = new Set<string>();
    const read: FileCalls['read'] = async (fd, ...rest) => {
      if (fails.size > 0) throw Object.assign(new Error('broken'), { code: 'EIO' });
      return await systemFileCalls.read(fd, ...rest);
    };
    const { upload, storage, stage, startUploader, metrics, pathOf } = await setUp({
      files: { read },
    });
    const keys = [1, 2, 3].map((slice) => keyOf(slice, 70_000));
    for (const key of keys) await upload.put(key, bytesOf(key), signal);
    const [damaged, gone] = keys as [BlockKey, BlockKey];
    await writeFile(pathOf(damaged), 'short');
    await rm(pathOf(gone));
    fails.add('all');
    const uploader = startUploader({}, async (key, into) => into.set(bytesOf(key)));
    await waitUntil('the uploads', () => stage.usage().blocks === 0);
    for (const key of keys) {
      expect(storage.objects.get(blockIdOf(key))?.equals(bytesOf(key))).toBe(true);
    }
    expect([stage.aside, metrics.value('staging_rescued_blocks')]).toEqual([0, 3]);
    await expect(readdir(join(pathOf(damaged), '..'))).resolves.toEqual([]);
    await uploader.stop();
  });

  test('blocks whose disk is away are not lost: they are uploaded when it is back', async () => {
    const { upload, storage, stage, startUploader, metrics, directories } = await setUp();
    const key = keyOf(1, 100);
    await upload.put(key, bytesOf(key), signal);
    const [here, away] = ['uuid', 'away'].map((name) => join(directories[0] as string, name));
    await rename(here as string, away as string);
    const uploader = startUploader();
    await waitUntil('a retry', () => metrics.value('staging_upload_retries') > 0);
    await rename(away as string, here as string);
    await waitUntil('the upload', () => stage.usage().blocks === 0);
    expect(storage.objects.get('1_0_100')?.equals(bytesOf(key))).toBe(true);
    expect([stage.aside, metrics.value('staging_lost_blocks')]).toEqual([0, 0]);
    await uploader.stop();
  });

  test('the footer of a stock client, which names a storage tier, is no damage', async () => {
    const { upload, stage, pathOf, read } = await setUp();
    const key = keyOf(1, 70_000);
    await upload.put(key, bytesOf(key), signal);
    const withSums = await readFile(pathOf(key));
    const footer = (bytes: number) => {
      const head = Buffer.from([0x46, 0x53, 0, bytes]);
      return Buffer.concat([head, Buffer.alloc(bytes, 7)]);
    };
    const wrongHead = Buffer.concat([Buffer.from('FX'), footer(16).subarray(2)]);
    const right = [
      Buffer.concat([withSums, footer(16)]),
      Buffer.concat([bytesOf(key), footer(13)]),
      bytesOf(key),
    ];
    const wrong = [
      Buffer.concat([withSums, wrongHead]),
      Buffer.concat([withSums, footer(16).subarray(4)]),
      Buffer.concat([Buffer.alloc(70_000), withSums.subarray(70_000), footer(16)]),
      withSums.subarray(0, -1),
      withSums.subarray(0, -4),
      withSums.subarray(0, 69_999),
    ];
    for (const content of right) {
      await writeFile(pathOf(key), content);
      expect((await read(key))?.equals(bytesOf(key))).toBe(true);
    }
    for (const content of wrong) {
      await writeFile(pathOf(key), content);
      await expect(read(key)).rejects.toMatchObject({ code: 'damaged' });
    }
    expect(stage.usage().blocks).toBe(1);
  });

  test('a block that is staged twice is uploaded, and stays where it was uploaded to', async () => {
    const { upload, storage, stage, startUploader } = await setUp();
    const gate = Promise.withResolvers<void>();
    storage.gate = gate.promise;
    const key = keyOf(1, 100);
    const uploader = startUploader();
    for (let time = 0; time < 2; time += 1) {
      await upload.put(key, bytesOf(key), signal);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    gate.resolve();
    await waitUntil('the upload', () => stage.usage().blocks === 0);
    await uploader.stop();
    expect([storage.objects.size, storage.removed]).toEqual([1, []]);
  });

  test('an unfinished file that cannot be removed keeps nobody from the whole blocks', async () => {
    const { upload, directories, pathOf } = await setUp();
    const key = keyOf(1, 100);
    await upload.put(key, bytesOf(key), signal);
    const stray = `${pathOf(keyOf(2, 100))}.tmp`;
    await writeFile(stray, 'some');
    await utimes(stray, 1, 1);
    const unlink = () => Promise.reject(Object.assign(new Error('no'), { code: 'EPERM' }));
    const next = await setUp({ directories, files: { unlink } });
    expect(next.stage.usage().blocks).toBe(1);
  });

  test('a disk that fails, is full or hangs costs no write: the block is uploaded directly', async () => {
    const key = keyOf(1, 100);
    const noSpace = () => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }));
    const full = { blocks: 1000, bavail: 1, bsize: 4096, files: 1000, ffree: 1000 };
    const cases: Setup[] = [
      { files: { write: noSpace } },
      { files: { sync: noSpace } },
      { files: { rename: noSpace } },
      { files: { usage: noSpace } },
      { files: { usage: () => Promise.resolve(full) } },
      { files: { write: () => new Promise(() => undefined) }, timeoutMs: 50 },
      { belowBytes: 100 },
      { writesMax: 0 },
    ];
    for (const setup of cases) {
      const { upload, stage, storage, directories } = await setUp(setup);
      await upload.put(key, bytesOf(key), signal);
      expect(stage.usage().blocks).toBe(0);
      expect(storage.objects.get('1_0_100')?.equals(bytesOf(key))).toBe(true);
      const next = await setUp({ directories });
      expect(next.stage.usage().blocks).toBe(0);
    }
  });

  test('a directory that is gone is not made again, and the other one takes its blocks', async () => {
    const directories = [await makeTempDir('stage-a'), await makeTempDir('stage-b')];
    const { upload, stage, storage } = await setUp({ directories });
    await rename(join(directories[0] as string, 'uuid'), join(directories[0] as string, 'away'));
    for (let slice = 1; slice <= 12; slice += 1) {
      await upload.put(keyOf(slice, 10), bytesOf(keyOf(slice, 10)), signal);
    }
    await expect(readdir(directories[0] as string)).resolves.toEqual(['away']);
    expect(stage.usage().blocks + storage.objects.size).toBe(12);
    expect(stage.usage().blocks).toBeGreaterThan(8);
  });

  test('a folder that somebody removes is made again', async () => {
    const { upload, stage, pathOf } = await setUp();
    await upload.put(keyOf(1, 10), bytesOf(keyOf(1, 10)), signal);
    await rm(join(pathOf(keyOf(1, 10)), '../..'), { recursive: true });
    await upload.put(keyOf(2, 10), bytesOf(keyOf(2, 10)), signal);
    expect(stage.has(blockIdOf(keyOf(2, 10)))).toBe(true);
    await mkdir(join(pathOf(keyOf(2, 10)), '..', 'folder'));
  });

  test('a write that is given up leaves nothing', async () => {
    const controller = new AbortController();
    let isArmed = false;
    const sync = async (fd: number) => {
      if (isArmed) controller.abort(new Error('the slice is given up'));
      await systemFileCalls.sync(fd);
    };
    const { stage, pathOf } = await setUp({ files: { sync } });
    const key = keyOf(5, 100);
    isArmed = true;
    await expect(stage.stage(key, bytesOf(key), controller.signal)).rejects.toThrow('given up');
    expect(stage.usage().blocks).toBe(0);
    await waitUntil('its file to be removed', async () => {
      return (await readdir(join(pathOf(key), '..')).catch(() => [])).length === 0;
    });
  });
});

describe('the time of uploads', () => {
  test('a delay is waited for, and hurry ends it', async () => {
    const { upload, stage, storage, startUploader } = await setUp();
    const uploader = startUploader({ delayMs: 3_600_000 });
    await upload.put(keyOf(1, 100), bytesOf(keyOf(1, 100)), signal);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(storage.objects.size).toBe(0);
    uploader.hurry();
    await waitUntil('the upload', () => stage.usage().blocks === 0);
    // Who hurries ends the mount: what comes now must not be left behind.
    await upload.put(keyOf(2, 100), bytesOf(keyOf(2, 100)), signal);
    expect([stage.usage().blocks, storage.objects.size]).toEqual([0, 2]);
    await uploader.stop();
  });

  test('outside of the hours nothing is uploaded', async () => {
    const { upload, storage, startUploader } = await setUp();
    const hour = new Date(systemClock.wallMs()).getHours();
    const hours = { start: (hour + 2) % 24, end: (hour + 3) % 24 };
    const uploader = startUploader({ hours });
    await upload.put(keyOf(1, 100), bytesOf(keyOf(1, 100)), signal);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(storage.objects.size).toBe(0);
    await uploader.stop();
  });
});
