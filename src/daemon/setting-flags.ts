import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { type Command, Option } from 'commander';
import { parseClientVersion } from '../meta/client-version.ts';
import type { SettingFieldsByName } from '../meta/setting-text.ts';
import { parseChoice, parseSize, parseWhole, UsageError } from './quantities.ts';

/** An option that sets a field of a volume's setting. */
interface SettingFlag {
  readonly words: string;
  readonly help: string;
  readonly field: string;
  /** What a new volume has when nothing is said. */
  readonly fallback?: string;
  /** An environment variable to take it from. */
  readonly env?: string;
  /** @throws UsageError */
  readonly read: (text: string | boolean, words: string) => unknown;
}

/** What commander gives. */
export type GivenFlags = Readonly<Record<string, string | boolean | undefined>>;

const KIB = 1024;
const BLOCK_BYTES_MIN = 64 * KIB;
const BLOCK_BYTES_MAX = 16_384 * KIB;
const COUNT_MAX = Number.MAX_SAFE_INTEGER;

const text = (value: string | boolean) => String(value);
const flag = (value: string | boolean) => value === true;
const truth = (value: string | boolean, words: string) =>
  value === true || parseChoice(optionOf(words), text(value), ['true', 'false']) === 'true';
const whole = (max: number) => (value: string | boolean, words: string) =>
  parseWhole(optionOf(words), String(value), { min: 0, max });

/** Options about where and how objects are stored, in the order of `--help`. */
const STORAGE: readonly SettingFlag[] = [
  ...[
    { words: '--storage <NAME>', help: 'object store: file, s3, minio', field: 'Storage' },
    { words: '--bucket <URL>', help: 'where objects are; a folder for "file"', field: 'Bucket' },
  ].map((each) => ({ ...each, read: text })),
  ...[
    { words: '--access-key <KEY>', field: 'AccessKey', env: 'ACCESS_KEY' },
    { words: '--secret-key <KEY>', field: 'SecretKey', env: 'SECRET_KEY' },
    { words: '--session-token <TOKEN>', field: 'SessionToken', env: 'SESSION_TOKEN' },
  ].map((each) => ({ ...each, help: `for the object store (env ${each.env})`, read: text })),
];

const FORMAT: readonly SettingFlag[] = [
  {
    ...{ words: '--block-size <SIZE>', help: 'of an object; a bare number is KiB' },
    ...{ field: 'BlockSize', fallback: '4M', read: readBlockSize },
  },
  {
    ...{ words: '--compress <ALGORITHM>', help: 'none, lz4, zstd', field: 'Compression' },
    fallback: 'none',
    read: (value, words) => parseChoice(optionOf(words), text(value), ['none', 'lz4', 'zstd']),
  },
  {
    ...{ words: '--shards <N>', help: 'buckets; their name needs a %d then', field: 'Shards' },
    read: whole(256),
  },
  {
    ...{ words: '--hash-prefix', help: 'put a hash in front of names of objects' },
    ...{ field: 'HashPrefix', read: flag },
  },
];

const ENCRYPTION: readonly SettingFlag[] = [
  {
    ...{ words: '--encrypt-rsa-key <FILE>', help: 'private key (PEM) to encrypt data with' },
    ...{ field: 'EncryptKey', read: readPem },
  },
  {
    ...{ words: '--encrypt-algo <ALGORITHM>', help: 'aes256gcm-rsa, chacha20-rsa' },
    ...{ field: 'EncryptAlgo', fallback: 'aes256gcm-rsa' },
    read: (value, words) =>
      parseChoice(optionOf(words), text(value), ['aes256gcm-rsa', 'chacha20-rsa']),
  },
];

const LIMITS: readonly SettingFlag[] = [
  {
    ...{ words: '--capacity <SIZE>', help: 'of the volume; a bare number is GiB, 0 no limit' },
    field: 'Capacity',
    read: (value, words) => BigInt(parseSize(optionOf(words), text(value), 'G')),
  },
  {
    ...{ words: '--inodes <N>', help: 'files of the volume at most, 0 no limit', field: 'Inodes' },
    read: whole(COUNT_MAX),
  },
  {
    ...{ words: '--trash-days <N>', help: 'that removed files stay in the trash' },
    ...{ field: 'TrashDays', fallback: '1', read: whole(COUNT_MAX) },
  },
  {
    ...{ words: '--enable-acl', help: 'POSIX ACLs; cannot be undone', field: 'EnableACL' },
    read: flag,
  },
];

const CLIENTS: readonly SettingFlag[] = [
  {
    ...{ words: '--upload-limit <N>', help: 'of a client, in Mbit/s, 0 no limit' },
    ...{ field: 'UploadLimit', read: whole(COUNT_MAX) },
  },
  {
    ...{ words: '--download-limit <N>', help: 'of a client, in Mbit/s, 0 no limit' },
    ...{ field: 'DownloadLimit', read: whole(COUNT_MAX) },
  },
  {
    ...{ words: '--min-client-version <VERSION>', help: 'older clients are shut out' },
    ...{ field: 'MinClientVersion', read: readVersion },
  },
  {
    ...{ words: '--max-client-version <VERSION>', help: 'newer clients are shut out' },
    ...{ field: 'MaxClientVersion', read: readVersion },
  },
  {
    ...{ words: '--dir-stats [BOOL]', help: 'keep statistics of directories; quotas need them' },
    ...{ field: 'DirStats', read: truth },
  },
  {
    ...{ words: '--user-group-quota [BOOL]', help: 'keep the usage of users and groups' },
    ...{ field: 'UserGroupQuota', read: truth },
  },
];

/** Sets of options, by the command that has them. */
export const FORMAT_FLAGS: readonly SettingFlag[] = [
  ...STORAGE,
  ...FORMAT,
  ...ENCRYPTION,
  ...LIMITS,
];

/** What `config` can change. */
export const CONFIG_FLAGS: readonly SettingFlag[] = [...STORAGE, ...LIMITS, ...CLIENTS];

/**
 * Adds options to a command, without their defaults: what was given must be told apart.
 *
 * @param isNew - they make a volume, so that the help tells the defaults
 */
export function addSettingFlags(
  command: Command,
  flags: readonly SettingFlag[],
  isNew: boolean,
): void {
  for (const { words, help, fallback } of flags) {
    const more = fallback === undefined || !isNew ? '' : ` (default: ${fallback})`;
    command.addOption(new Option(words, `${help}${more}`));
  }
}

/**
 * The fields that were asked for.
 *
 * @throws UsageError
 */
export function givenFields(flags: readonly SettingFlag[], given: GivenFlags): SettingFieldsByName {
  const fields = flags.flatMap(({ words, field, read }) => {
    const value = given[keyOf(words)];
    return value === undefined ? [] : [[field, read(value, words)] as const];
  });
  return Object.fromEntries(fields);
}

/** The fields of a new volume: what was asked for, from the environment, or as always. */
export function fieldsOfNew(
  given: GivenFlags,
  env: Readonly<Record<string, string | undefined>>,
): SettingFieldsByName {
  const filled: Record<string, string | boolean | undefined> = { ...given };
  for (const { words, fallback, env: variable } of FORMAT_FLAGS) {
    const fromEnv = variable === undefined ? undefined : env[variable];
    filled[keyOf(words)] ??= fromEnv ?? fallback;
  }
  filled['storage'] ??= 'file';
  if (filled['bucket'] === undefined) {
    if (filled['storage'] !== 'file') {
      throw new UsageError(`--bucket: the storage ${String(filled['storage'])} needs one`);
    }
    const isRoot = process.getuid?.() === 0;
    filled['bucket'] = isRoot ? '/var/jfs' : path.join(homedir(), '.juicefs', 'local');
  }
  return withFolder(givenFields(FORMAT_FLAGS, filled));
}

/** A folder's path is absolute and ends with a slash. */
export function withFolder(fields: SettingFieldsByName): SettingFieldsByName {
  const { Storage: storage, Bucket: bucket } = fields;
  if (storage !== 'file' || typeof bucket !== 'string') return fields;
  return { ...fields, Bucket: `${path.resolve(bucket)}/` };
}

function readBlockSize(value: string | boolean, words: string): number {
  const bytes = parseSize(optionOf(words), text(value), 'K');
  const power = 2 ** Math.floor(Math.log2(Math.max(bytes, 1)));
  if (power !== bytes || bytes < BLOCK_BYTES_MIN || bytes > BLOCK_BYTES_MAX) {
    throw new UsageError(
      `${optionOf(words)}: "${text(value)}" is not a power of two from 64K to 16M`,
    );
  }
  return bytes / KIB;
}

function readPem(value: string | boolean, words: string): string {
  try {
    return readFileSync(text(value), 'utf8');
  } catch (error) {
    throw new UsageError(`${optionOf(words)}: ${(error as Error).message}`);
  }
}

function readVersion(value: string | boolean, words: string): string {
  if (parseClientVersion(text(value)) !== undefined) return text(value);
  throw new UsageError(`${optionOf(words)}: "${text(value)}" is no version (like 1.4.0)`);
}

function optionOf(words: string): string {
  return words.split(' ', 1)[0] ?? words;
}

/** As commander names it: `--access-key <KEY>` is `accessKey`. */
function keyOf(words: string): string {
  return optionOf(words)
    .slice(2)
    .replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
