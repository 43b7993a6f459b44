import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { folderBucket } from './buckets.ts';
import { runToEnd } from './cli.ts';
import { type DaemonOptions, startDaemon, type TestDaemon } from './daemons.ts';
import { loadFixture } from './fixtures.ts';
import { makeSyntheticVolume, type SyntheticOptions } from './synthetic-volume.ts';

/** A volume that a test may write to. */
export interface WritableVolume {
  readonly metaUrl: string;
  /** What every client of it must be told. */
  readonly args: readonly string[];
  /** Where its objects are. */
  readonly objects: string;
  stop(): Promise<void>;
}

/** A new volume on Redis, or a recorded one in SQLite. Objects are files. */
export async function writableVolume(
  engine: 'redis' | 'sqlite',
  options: Omit<SyntheticOptions, 'bucket'> = {},
): Promise<WritableVolume> {
  if (engine === 'sqlite') {
    const { metaUrl, bucket, dir, stop } = await loadFixture('sqlite');
    const args = ['--storage', 'file', '--bucket', bucket];
    return { metaUrl, args, objects: join(dir, 'objects'), stop };
  }
  const bucket = await folderBucket();
  const volume = await makeSyntheticVolume({ bucket, ...options });
  const stop = async () => {
    await volume.stop();
    await rm(bucket.dir, { recursive: true, force: true });
  };
  return { metaUrl: volume.metaUrl, args: [], objects: bucket.dir, stop };
}

/** Mounts a volume so that it can be written to. */
export function startWriter(
  volume: WritableVolume,
  options: Omit<DaemonOptions, 'metaUrl'> = {},
): Promise<TestDaemon> {
  const memory = ['--cache-dir', 'memory', '--memory-cache-size', '64'];
  const args = ['--read-write', ...memory, ...volume.args, ...(options.args ?? [])];
  return startDaemon({ ...options, metaUrl: volume.metaUrl, args });
}

/** What {@link writeAtRandom} is to do. */
export interface RandomWrites {
  readonly seed: number;
  readonly operations: number;
  readonly secondsMax: number;
  /** Of the file, in bytes. */
  readonly longest: number;
  /** The same file, on one mount or several. */
  readonly paths: readonly string[];
}

/** For what the writer does after its time is over. */
const ENDING_MS = 45_000;
const RANDOM_WRITER = fileURLToPath(new URL('random-writer.py', import.meta.url));

/** Writes to a file at random and compares all that is read. @throws Error with what differs */
export async function writeAtRandom(plan: RandomWrites): Promise<Record<string, number>> {
  const { seed, operations, secondsMax, longest, paths } = plan;
  const numbers = [seed, operations, secondsMax, longest].map(String);
  const { status, stdout, stderr } = await runToEnd(
    ['python3', RANDOM_WRITER, ...numbers, ...paths],
    { timeoutMs: secondsMax * 1000 + ENDING_MS },
  );
  if (status !== 0) throw new Error(`seed ${seed}, status ${status}: ${stdout}${stderr}`);
  return (JSON.parse(stdout) as { kinds: Record<string, number> }).kinds;
}
