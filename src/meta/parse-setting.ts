import { CLIENT_VERSION, compareClientVersions, parseClientVersion } from './client-version.ts';
import { MetaError } from './engine.ts';
import { decryptSecret } from './secrets.ts';
import { badField, SettingFields } from './setting-fields.ts';
import type { VolumeSetting } from './setting.ts';

/** The newest layout that we know. */
const META_VERSION_MAX = 1;
const NAME = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;
/** It becomes part of local paths and of keys, so nothing else will do. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const STORAGE = /^[a-z0-9]{1,32}$/;
const KIB = 1024;
const BLOCK_KIB_MIN = 64;
const BLOCK_KIB_MAX = 16384;
const SHARDS_MAX = 256;

/**
 * Reads a volume's setting: checks every field that we use and decrypts the secrets.
 *
 * @param bytes - the stored JSON
 * @throws MetaError `incompatible` for a volume that this release must not touch, `bad-setting` for
 *   one that makes no sense; both name the field
 */
export function parseSetting(bytes: Uint8Array): VolumeSetting {
  const fields = new SettingFields(bytes);
  // Gates first: in a volume of the future all else may look wrong.
  const metaVersion = checkGates(fields);
  const uuid = matching(fields, 'UUID', UUID);
  return {
    name: matching(fields, 'Name', NAME),
    uuid,
    storage: readStorage(fields),
    bucket: fields.text('Bucket'),
    blockBytes: readBlockBytes(fields),
    compression: readCompression(fields),
    shards: Math.max(1, fields.integer('Shards', 0, SHARDS_MAX)),
    hashPrefix: fields.flag('HashPrefix'),
    capacityBytes: fields.unsigned64('Capacity'),
    inodesMax: fields.unsigned64('Inodes'),
    encryptAlgo: readEncryptAlgo(fields),
    trashDays: fields.integer('TrashDays', 0, Number.MAX_SAFE_INTEGER),
    metaVersion,
    enableAcl: fields.flag('EnableACL'),
    dirStats: fields.flag('DirStats'),
    userGroupQuota: fields.flag('UserGroupQuota'),
    changeLog: fields.flag('ChangeLog'),
    ...readSecrets(fields, uuid),
    raw: fields.raw,
  };
}

function checkGates(fields: SettingFields): number {
  const metaVersion = fields.integer('MetaVersion', 0, Number.MAX_SAFE_INTEGER);
  if (metaVersion > META_VERSION_MAX) {
    throw incompatible('MetaVersion', `is ${metaVersion}, the newest known is ${META_VERSION_MAX}`);
  }
  checkVersion(fields, 'MinClientVersion', (order) => order >= 0);
  checkVersion(fields, 'MaxClientVersion', (order) => order <= 0);
  return metaVersion;
}

/** @param allowed - told how our version compares to the one in the field */
function checkVersion(
  fields: SettingFields,
  field: 'MinClientVersion' | 'MaxClientVersion',
  allowed: (order: number) => boolean,
): void {
  const text = fields.text(field);
  if (text === '') return;
  const limit = parseClientVersion(text);
  const own = parseClientVersion(CLIENT_VERSION);
  if (limit === undefined || own === undefined) throw badField(field, 'is not a version');
  if (!allowed(compareClientVersions(own, limit))) {
    throw incompatible(field, `is ${text}, this client counts as ${CLIENT_VERSION}`);
  }
}

function matching(fields: SettingFields, field: string, pattern: RegExp): string {
  const value = fields.text(field);
  if (!pattern.test(value)) throw badField(field, `must match ${pattern.source}`);
  return value;
}

function readStorage(fields: SettingFields): string {
  const storage = fields.text('Storage').toLowerCase() || 'file';
  if (!STORAGE.test(storage)) throw badField('Storage', 'must be the name of an object store');
  return storage;
}

function readBlockBytes(fields: SettingFields): number {
  const kib = fields.integer('BlockSize', BLOCK_KIB_MIN, BLOCK_KIB_MAX);
  if ((kib & (kib - 1)) !== 0) throw badField('BlockSize', 'must be a power of two');
  return kib * KIB;
}

function readCompression(fields: SettingFields): VolumeSetting['compression'] {
  const name = fields.text('Compression').toLowerCase() || 'none';
  if (name === 'none' || name === 'lz4' || name === 'zstd') return name;
  throw incompatible('Compression', 'must be none, lz4 or zstd');
}

function readEncryptAlgo(fields: SettingFields): VolumeSetting['encryptAlgo'] {
  const name = fields.text('EncryptAlgo') || 'aes256gcm-rsa';
  if (name === 'aes256gcm-rsa' || name === 'chacha20-rsa') return name;
  if (name === 'sm4gcm') throw incompatible('EncryptAlgo', 'is sm4gcm, which is not supported');
  throw incompatible('EncryptAlgo', 'must be aes256gcm-rsa or chacha20-rsa');
}

function readSecrets(fields: SettingFields, uuid: string) {
  const encrypted = fields.flag('KeyEncrypted');
  const open = (field: string): string => {
    const stored = fields.text(field);
    return encrypted ? decryptSecret(uuid, stored, field) : stored;
  };
  return {
    accessKey: fields.text('AccessKey'),
    secretKey: open('SecretKey'),
    sessionToken: open('SessionToken'),
    encryptKeyPem: open('EncryptKey') || undefined,
  };
}

function incompatible(field: string, problem: string): MetaError {
  return new MetaError('incompatible', `setting: ${field} ${problem}`);
}
