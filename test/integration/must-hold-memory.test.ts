import { opendir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { startDaemon, type TestDaemon } from '../servers/daemons.ts';
import { startReader } from '../servers/readers.ts';
import { makeSyntheticVolume, type SyntheticVolume } from '../servers/synthetic-volume.ts';
import { waitUntil } from '../servers/wait-until.ts';

const MIB = 2 ** 20;
const ENTRIES = 1_000_000;
const MEMORY_TIER = 64 * MIB;
const BUFFER = 64 * MIB;
const IDLE_MAX = 200 * MIB;
/** The code, its heap, and what the allocator keeps, at work. */
const WORKING_MAX = 300 * MIB;
/** What V8 collects later takes most of it, whatever is listed. Entries kept would be 500 MiB. */
const LISTING_MAX = 160 * MIB;
const STAT_SAMPLE = 500;

let volume: SyntheticVolume;
let daemon: TestDaemon;

beforeAll(async () => {
  volume = await makeSyntheticVolume({ bucket: await folderBucket() });
});

// A new one each time: memory that was used once is seldom given back.
beforeEach(async () => {
  daemon = await startDaemon({
    metaUrl: volume.metaUrl,
    compiled: true,
    args: [
      ...['--cache-dir', 'memory', '--memory-cache-size', `${MEMORY_TIER / MIB}`],
      ...['--buffer-size', `${BUFFER / MIB}`],
    ],
  });
});

afterEach(() => daemon?.stop());

afterAll(() => volume?.stop());

async function residentBytes(): Promise<number> {
  const status = await readFile(`/proc/${daemon.process.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

/** The most that the daemon has while `work` goes on, looked at 20 times a second. */
async function peakDuring<T>(work: Promise<T>): Promise<{ peak: number; result: T }> {
  let peak = await residentBytes();
  let done = false;
  void work.finally(() => {
    done = true;
  });
  while (!done) {
    await sleep(50);
    peak = Math.max(peak, await residentBytes());
  }
  return { peak, result: await work };
}

test('an idle mount stays small', async () => {
  await sleep(2000);
  expect(await residentBytes()).toBeLessThan(IDLE_MAX);
});

test('a million entries are listed completely and the daemon does not grow with them', async () => {
  await volume.addEmptyFiles('many', ENTRIES);
  const directory = join(daemon.mountpoint, 'many');
  const before = await residentBytes();
  const { peak, result: seen } = await peakDuring(listAll(directory));
  expect(seen.count(1)).toBe(ENTRIES);
  expect(seen.strangers).toEqual([]);
  expect(peak - before).toBeLessThan(LISTING_MAX);

  for (let index = 0; index < STAT_SAMPLE; index += 1) {
    const name = String(Math.floor((index * ENTRIES) / STAT_SAMPLE)).padStart(8, '0');
    expect((await stat(join(directory, name))).size).toBe(0);
  }
  await expect(stat(join(directory, String(ENTRIES).padStart(8, '0')))).rejects.toThrow(/ENOENT/);
});

/** How often each of the expected names came, and names that were not expected. */
async function listAll(path: string) {
  const times = new Uint8Array(ENTRIES);
  const strangers: string[] = [];
  for await (const { name } of await opendir(path, { bufferSize: 1024 })) {
    const number = Number(name);
    if (/^\d{8}$/.test(name) && number < ENTRIES) times[number] = (times[number] as number) + 1;
    else strangers.push(name);
  }
  const count = (wanted: number) => times.reduce((sum, n) => sum + (n === wanted ? 1 : 0), 0);
  return { count, strangers };
}

test('reading more than the memory tier holds keeps within what was configured', async () => {
  const files = [
    await volume.addFile('large-1', 150 * MIB),
    await volume.addFile('large-2', 90 * MIB),
  ];
  const readers = files.map((file) =>
    startReader({ mountpoint: daemon.mountpoint, files: [file], passes: 2 }),
  );
  const reading = Promise.all(readers.map(({ result }) => result));
  const { peak, result } = await peakDuring(reading);
  for (const found of result) expect(found).toMatchObject({ wrong: [], errors: [] });
  expect(peak).toBeLessThan(MEMORY_TIER + BUFFER + WORKING_MAX);
  await waitUntil('buffers to be given back', async () => {
    // A worker thread tells of closed files with its next request.
    await stat(join(daemon.mountpoint, 'nothing')).catch(() => undefined);
    return (await daemon.metric('juicefs_used_buffer_size_bytes')) === 0;
  });
});
