import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { runCli } from '../servers/cli.ts';
import type { TestDaemon } from '../servers/daemons.ts';
import { emptyRedisVolume, emptySqliteVolume } from '../servers/empty-volume.ts';
import { detach } from '../servers/mounted.ts';
import { makeTempDir } from '../servers/temp.ts';
import { waitUntil } from '../servers/wait-until.ts';
import { startWriter } from '../servers/writable.ts';

/** On both engines together; the number that must hold is 50. */
const KILLS = Number(process.env['CACHEMESH_TEST_KILLS'] ?? 3);
const RECORD_BYTES = 5000;
const FIELDS = { BlockSize: 64 };
/** So many lines, and up to so long after them. */
const TOLD_MIN = 5;
const KILL_WITHIN_MS = 500;
const CLEANED_TIMEOUT_MS = 30_000;
/** The volume's root and its trash have no name. */
const NAMELESS = 2;

/**
 * Appends records, replaces a file by rename and makes names until the mount is gone, and prints what
 * it was told to be safe. A file without a name stays open. Arguments: directory, number of the round.
 */
const PROGRAM = `
import itertools, os, sys
at, turn = sys.argv[1], int(sys.argv[2])
ghost = os.open(f"{at}/ghost", os.O_RDWR | os.O_CREAT)
os.write(ghost, b"g" * 100000)
os.fsync(ghost)
os.unlink(f"{at}/ghost")
log = os.open(f"{at}/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for number in itertools.count(os.fstat(log).st_size // ${RECORD_BYTES}):
    os.write(log, (f"{number:08} " * 600)[:${RECORD_BYTES}].encode())
    if number % 3 == 0:
        os.fsync(log)
        print("log", number + 1, flush=True)
    if number % 5 == 0:
        version = turn * 1000000 + number
        new = os.open(f"{at}/next", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(new, (f"{version:010} " * 30000)[:1000 + version * 7919 % 300000].encode())
        os.fsync(new)
        os.close(new)
        os.rename(f"{at}/next", f"{at}/current")
        print("current", version, flush=True)
    if number % 7 == 0:
        name = turn * 1000000 + number
        os.close(os.open(f"{at}/made-{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        print("made", name, flush=True)
`;

/** What a writer was told to be safe before its daemon was killed. */
interface Told {
  readonly records: number;
  readonly current: number;
  readonly made: readonly number[];
}

/** A volume, and what a test looks for in its metadata. */
interface Volume {
  readonly metaUrl: string;
  stop(): Promise<void>;
  /** Makes all sessions look as if a minute had passed since their last heartbeat. */
  age(): Promise<void>;
  sessions(): Promise<number>;
  /** Inodes without a name that were open. */
  sustained(): Promise<number>;
  inodes(): Promise<number>;
}

async function onRedis(): Promise<Volume> {
  const { client, metaUrl, stop } = await emptyRedisVolume(FIELDS);
  return {
    ...{ metaUrl, stop },
    age: async () => {
      for (const sid of await client.zrange('allSessions', '0', '-1')) {
        await client.zadd('allSessions', 1, sid);
      }
      await client.set('lastCleanupSessions', '0');
    },
    sessions: () => client.zcard('allSessions'),
    sustained: async () => (await client.keys('session[0-9]*')).length,
    inodes: async () => (await client.keys('i[0-9]*')).length,
  };
}

async function onSqlite(): Promise<Volume> {
  const { database, metaUrl, bucket, stop } = await emptySqliteVolume(FIELDS);
  await mkdir(bucket);
  const count = (table: string) =>
    Promise.resolve(Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']));
  return {
    ...{ metaUrl, stop },
    age: () => {
      database.exec('UPDATE jfs_session2 SET expire = 1');
      database.exec("UPDATE jfs_counter SET value = 0 WHERE name = 'lastCleanupSessions'");
      return Promise.resolve();
    },
    sessions: () => count('jfs_session2'),
    sustained: () => count('jfs_sustained'),
    inodes: () => count('jfs_node'),
  };
}

/** Lets a program write, and kills the daemon under it. */
async function writeUntilKilled(daemon: TestDaemon, round: number): Promise<Told> {
  const words = ['-c', PROGRAM, daemon.mountpoint, String(round)];
  const writer = spawn('python3', words, { stdio: ['ignore', 'pipe', 'ignore'] });
  onTestFinished(() => void writer.kill('SIGKILL'));
  const gone = once(writer, 'close');
  let told = '';
  writer.stdout.on('data', (part: Buffer) => {
    told += part.toString();
  });
  await waitUntil('something to be safe', () => told.split('\n').length > TOLD_MIN);
  await sleep(Math.random() * KILL_WITHIN_MS);
  await daemon.process.stop('SIGKILL');
  await gone;
  await detach(daemon.mountpoint);
  const lines = told.trim().split('\n');
  const numbers = (what: string) =>
    lines.filter((line) => line.startsWith(`${what} `)).map((line) => Number(line.split(' ')[1]));
  return {
    records: Math.max(0, ...numbers('log')),
    current: Math.max(0, ...numbers('current')),
    made: numbers('made'),
  };
}

/** @throws when something is lost, or shows that is not whole */
async function checkTold(dir: string, told: Told): Promise<void> {
  const log = await readFile(join(dir, 'log'), 'latin1');
  expect(log.length % RECORD_BYTES).toBe(0);
  expect(log.length / RECORD_BYTES).toBeGreaterThanOrEqual(told.records);
  const broken = Array.from({ length: log.length / RECORD_BYTES }, (_, number) => {
    const record = `${String(number).padStart(8, '0')} `.repeat(600).slice(0, RECORD_BYTES);
    return log.startsWith(record, number * RECORD_BYTES) ? [] : [number];
  }).flat();
  expect(broken).toEqual([]);
  const current = await readFile(join(dir, 'current'), 'latin1');
  const version = Number(current.slice(0, 10));
  expect(version).toBeGreaterThanOrEqual(told.current);
  const whole = `${String(version).padStart(10, '0')} `.repeat(30_000);
  expect(current === whole.slice(0, 1000 + ((version * 7919) % 300_000))).toBe(true);
  const names = new Set(await readdir(dir));
  expect(told.made.filter((number) => !names.has(`made-${number}`))).toEqual([]);
}

test.each([
  ['redis', onRedis, Math.ceil(KILLS / 2), []],
  ['sqlite, with --writeback,', onSqlite, Math.floor(KILLS / 2), ['--writeback']],
] as const)(
  'a daemon on %s that is killed loses nothing that was safe',
  { timeout: 60_000 + KILLS * 20_000 },
  async (_, open, kills, more) => {
    const volume = await open();
    onTestFinished(() => volume.stop());
    const dir = await makeTempDir('killed');
    const args = more.length === 0 ? [] : ['--cache-dir', join(dir, 'cache'), ...more];
    const start = () => startWriter({ ...volume, args, objects: '' }, { name: 'killed', dir });
    let daemon = await start();
    onTestFinished(() => daemon.stop());
    for (let round = 1; round <= kills; round += 1) {
      const told = await writeUntilKilled(daemon, round);
      expect(await volume.sustained()).toBeGreaterThan(0);
      if (round === kills) await volume.age();
      daemon = await start();
      await checkTold(daemon.mountpoint, told);
    }
    const isClean = async () => (await volume.sessions()) === 1 && (await volume.sustained()) === 0;
    await waitUntil('what killed sessions have left to be cleaned up', isClean, CLEANED_TIMEOUT_MS);
    const names = (await readdir(daemon.mountpoint)).filter((name) => !name.startsWith('.'));
    expect(await volume.inodes()).toBe(names.length + NAMELESS);
    const isUploaded = async () => (await daemon.metric('juicefs_staging_blocks')) === 0;
    await waitUntil('all to be uploaded', isUploaded);
    expect(await runCli(['fsck', volume.metaUrl])).toMatchObject({ status: 0 });
  },
);
