import type { Random } from '../runtime/random.ts';
import { compareClientVersions, parseClientVersion } from './client-version.ts';
import { MetaError } from './engine.ts';
import { encryptSecret } from './secrets.ts';
import type { SettingChange } from './setting-store.ts';
import { printSetting, readSettingText, type SettingFieldsByName } from './setting-text.ts';

const SECRETS = ['SecretKey', 'SessionToken', 'EncryptKey'];
/** What files of a volume look like cannot change; undefined and these are the same. */
const FIXED: Readonly<Record<string, unknown>> = {
  ...{ Name: '', BlockSize: 0, Compression: 'none', Shards: 0, HashPrefix: false },
};
const UUID_VERSION_4 = 0x40;
const UUID_VARIANT = 0x80;

/**
 * The setting of a new volume, as `juicefs format` makes it.
 *
 * @param given - at least Name, Storage, Bucket, BlockSize, Compression, EncryptAlgo, TrashDays
 * @param random - must be fit for keys
 */
export function newSetting(given: SettingFieldsByName, random: Random): SettingFieldsByName {
  const first = {
    UUID: randomUuid(random),
    Tiers: { 0: { ID: 0, StorageClass: '', Tag: '' } },
    MetaVersion: 1,
    MinClientVersion: '1.1.0-A',
    DirStats: true,
    EnableACL: false,
  };
  return changeSetting(first, given, random);
}

/**
 * A setting with some fields changed; secrets are sealed, and clients that do not know what was
 * switched on are shut out.
 *
 * @param changes - secrets in plain text
 */
export function changeSetting(
  before: SettingFieldsByName,
  changes: SettingFieldsByName,
  random: Random,
): SettingFieldsByName {
  const uuid = String(before['UUID']);
  const after: Record<string, unknown> = { ...before, ...changes };
  for (const name of SECRETS) {
    const isSealed = before['KeyEncrypted'] === true && changes[name] === undefined;
    const secret = after[name];
    if (typeof secret === 'string' && !isSealed) after[name] = encryptSecret(uuid, secret, random);
  }
  after['KeyEncrypted'] = SECRETS.some((name) => (after[name] ?? '') !== '');
  if (after['EnableACL'] === true) raiseMinVersion(after, '1.2.0-A');
  return after;
}

/**
 * What is to be stored for a setting that was changed.
 *
 * @param stored - as {@link readSettingText} has read it
 */
export function changeFrom(stored: Uint8Array, after: SettingFieldsByName): SettingChange {
  const before = readSettingText(stored);
  const begins = (name: string) => before[name] !== true && after[name] === true;
  return {
    ...{ before: stored, after: printSetting(after) },
    needsTrash: Number(after['TrashDays'] ?? 0) > 0,
    dropDirStats: begins('DirStats'),
    dropOwnerUsage: begins('UserGroupQuota'),
  };
}

/** @throws MetaError `incompatible` when files of the volume would look different from now on */
export function checkFixedFields(before: SettingFieldsByName, after: SettingFieldsByName): void {
  for (const [name, empty] of Object.entries(FIXED)) {
    const [old, now] = [before, after].map((fields) => fields[name] || empty);
    if (old === now) continue;
    const message = `the volume has ${name} ${String(old)}, which cannot become ${String(now)}`;
    throw new MetaError('incompatible', message);
  }
}

function raiseMinVersion(fields: Record<string, unknown>, least: string): void {
  const stored = fields['MinClientVersion'];
  const old = typeof stored === 'string' ? parseClientVersion(stored) : undefined;
  const wanted = parseClientVersion(least);
  if (old !== undefined && wanted !== undefined && compareClientVersions(old, wanted) >= 0) return;
  fields['MinClientVersion'] = least;
}

function randomUuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | UUID_VERSION_4;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | UUID_VARIANT;
  const hex = Buffer.from(bytes).toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
