import { constants } from 'node:fs';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FixtureManifest, readManifest } from './fixture-manifest.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { makeTempDir } from './temp.ts';

/** The recorded volumes; test/fixtures/README.md tells what is in each. */
export const FIXTURE_NAMES = [
  'plain',
  'lz4',
  'zstd',
  'encrypted-aes',
  'encrypted-chacha',
  'hash-prefix',
  'shards',
  'trash',
  'acl',
  'quota',
  'sqlite',
  'manyfiles',
] as const;

/** Name of a recorded volume, which is its folder's name too. */
export type FixtureName = (typeof FIXTURE_NAMES)[number];

/** Opens the private keys of the encrypted volumes. */
export const FIXTURE_PASSPHRASE = 'cachemesh fixture';

/** A copy of a recorded volume with its metadata server running. */
export interface LoadedFixture {
  readonly name: FixtureName;
  /** The copy's folder. */
  readonly dir: string;
  /** Metadata URL, `redis://…` or `sqlite3://…`. */
  readonly metaUrl: string;
  /**
   * What must be given in place of the bucket in the setting: an absolute path with a slash at the
   * end, with `%d` where the shard number goes.
   */
  readonly bucket: string;
  readonly manifest: FixtureManifest;
  /** The volume's setting as recorded, secrets included. */
  readonly setting: Readonly<Record<string, unknown>>;
  /** Passphrase of an encrypted volume's key. */
  readonly passphrase: string | undefined;
  /** The metadata server; undefined for SQLite. */
  readonly redis: RedisServer | undefined;
  /** Stops the metadata server; the files go at the end of the run. */
  stop(): Promise<void>;
}

/**
 * Copies a recorded volume and starts its metadata server, so that a test may change everything.
 *
 * @param name - which volume
 */
export async function loadFixture(name: FixtureName): Promise<LoadedFixture> {
  const dir = await makeTempDir(name);
  await cp(fixtureDir(name), dir, { recursive: true, mode: constants.COPYFILE_FICLONE });
  const redis =
    name === 'sqlite' ? undefined : await startRedis({ dumpPath: join(dir, 'dump.rdb') });
  const setting = JSON.parse(await readFile(join(dir, 'setting.json'), 'utf8')) as Record<
    string,
    unknown
  >;
  return {
    name,
    dir,
    metaUrl: redis?.url ?? `sqlite3://${join(dir, 'meta.db')}`,
    bucket: `${join(dir, 'objects')}/${name === 'shards' ? '%d/' : ''}`,
    manifest: await readManifest(join(dir, 'manifest.json')),
    setting,
    passphrase: name.startsWith('encrypted') ? FIXTURE_PASSPHRASE : undefined,
    redis,
    stop: async () => redis?.stop(),
  };
}

/**
 * The committed folder of a recorded volume: read only, for tests that need no server.
 *
 * @param name - which volume
 */
export function fixtureDir(name: FixtureName): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}
