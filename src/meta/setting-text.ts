import { MetaError } from './engine.ts';

/** A setting's JSON. Numbers that doubles would round are kept by their digits. */
export type SettingFieldsByName = Readonly<Record<string, unknown>>;

/** Names in the order in which original clients write them; the second ones also when empty. */
const ALWAYS = new Set([
  ...['Name', 'UUID', 'Storage', 'Tiers', 'Bucket', 'BlockSize', 'TrashDays', 'EnableACL'],
]);
const ORDER = [
  ...['Name', 'UUID', 'Storage', 'StorageClass', 'Tiers', 'Bucket', 'AccessKey', 'SecretKey'],
  ...['SessionToken', 'BlockSize', 'Compression', 'Shards', 'HashPrefix', 'Capacity', 'Inodes'],
  ...['EncryptKey', 'EncryptAlgo', 'KeyEncrypted', 'UploadLimit', 'DownloadLimit', 'TrashDays'],
  ...['MetaVersion', 'MinClientVersion', 'MaxClientVersion', 'DirStats', 'UserGroupQuota'],
  ...['EnableACL', 'RangerRestUrl', 'RangerService', 'ChangeLog', 'ChangeLogMaxAge'],
  ...['ChangeLogMaxLines', 'KerbConf'],
];
/** What `JSON` can do in this Node, but its types do not know. */
const exactJson = JSON as unknown as {
  rawJSON(text: string): unknown;
  parse(
    text: string,
    revive: (key: string, value: unknown, at: { source?: string }) => unknown,
  ): unknown;
};

/**
 * Reads a setting so that {@link printSetting} writes the same again, with fields that we do not know.
 *
 * @throws MetaError `bad-setting` when it is not the text of a JSON object
 */
export function readSettingText(bytes: Uint8Array): SettingFieldsByName {
  let value: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    value = exactJson.parse(text, (_key, each, { source = '' }) =>
      typeof each === 'number' && !Number.isSafeInteger(each) ? exactJson.rawJSON(source) : each,
    );
  } catch (cause) {
    throw new MetaError('bad-setting', 'setting: not valid JSON', { cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as SettingFieldsByName;
  }
  throw new MetaError('bad-setting', 'setting: not a JSON object');
}

/** A setting as original clients store it, letter by letter; bigints are numbers. */
export function printSetting(fields: SettingFieldsByName): Uint8Array {
  const known = ORDER.flatMap((name) => {
    const value = fields[name];
    if (value === undefined) return [];
    return ALWAYS.has(name) || !isEmpty(value) ? [[name, value] as const] : [];
  });
  const others = Object.entries(fields).filter(([name]) => !ORDER.includes(name));
  const exact = (_key: string, value: unknown) =>
    typeof value === 'bigint' ? exactJson.rawJSON(String(value)) : value;
  const text = JSON.stringify(Object.fromEntries([...known, ...others]), exact, 1)
    // A line for each field, not indented. Line feeds inside of texts are escaped.
    .replaceAll(/\n +/g, '\n')
    .replaceAll(/[&<>\u2028\u2029]/g, escapeCharacter);
  return new TextEncoder().encode(text);
}

function isEmpty(value: unknown): boolean {
  return value === '' || value === 0 || value === 0n || value === false || value === null;
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
