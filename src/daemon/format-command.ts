import Table from 'cli-table3';
import type { Command } from 'commander';
import { MetaError } from '../meta/engine.ts';
import { changeFrom, changeSetting, checkFixedFields, newSetting } from '../meta/new-setting.ts';
import { parseSetting } from '../meta/parse-setting.ts';
import type { SettingStore } from '../meta/setting-store.ts';
import { printSetting, readSettingText, type SettingFieldsByName } from '../meta/setting-text.ts';
import type { VolumeSetting } from '../meta/setting.ts';
import { encodeBlock } from '../store/block-format.ts';
import { namingOf } from '../block/object-key.ts';
import { createObjectStore } from '../store/create-store.ts';
import { type ObjectStore, StoreError } from '../store/object-store.ts';
import { type OneShot, runOneShot } from './one-shot.ts';
import { checkBucket, probeOrigin } from './probe-origin.ts';
import { UsageError } from './quantities.ts';
import {
  addSettingFlags,
  fieldsOfNew,
  FORMAT_FLAGS,
  givenFields,
  type GivenFlags,
  withFolder,
} from './setting-flags.ts';
import { openSettings } from './tool-meta.ts';
import { readSmallObject, volumeMarkKey } from './volume-mark.ts';
import { encryptionOf } from './volume.ts';
import { shownSetting } from './shown-setting.ts';

const NAME = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;

/** The options of `cachemesh format`, as JuiceFS has them. */
export function describeFormat(command: Command): void {
  command
    .description('make a volume, or change the setting of one')
    .argument('<META-URL>', 'redis[s]://…, unix://…, sqlite3://PATH')
    .argument('<NAME>', 'of the volume; objects have it in front of their names');
  addSettingFlags(command, FORMAT_FLAGS, true);
  command
    .option('--force', 'overwrite the setting of an existing volume, whatever it was')
    .option('--no-update', 'leave an existing volume as it is')
    .option('--json', 'as JSON')
    .action((metaUrl: string, name: string, given: GivenFlags) => format(metaUrl, name, given));
}

/**
 * Makes a volume: tests its bucket, marks the bucket with the volume's UUID, and stores the setting.
 *
 * @throws UsageError, MetaError, StoreError
 */
async function format(metaUrl: string, name: string, given: GivenFlags): Promise<void> {
  if (!NAME.test(name)) {
    const rule = '3 to 63 lower-case letters, digits and dashes, no dash at the ends';
    throw new UsageError(`NAME: "${name}" is no name of a volume (${rule})`);
  }
  await runOneShot(async (context) => {
    const settings = openSettings(metaUrl, context);
    const before = await settings.load(context.signal);
    if (before === undefined) {
      const fields = { Name: name, ...fieldsOfNew(given, context.env) };
      const made = await makeVolume(settings, newSetting(fields, context.random), context);
      print(made, 'made', given);
    } else if (given['update'] === false) {
      print(parseSetting(before), 'exists, nothing was changed', given);
    } else {
      print(await updateVolume(settings, { before, name, given }, context), 'updated', given);
    }
  });
}

async function makeVolume(
  settings: SettingStore,
  fields: SettingFieldsByName,
  context: OneShot,
): Promise<VolumeSetting> {
  const after = printSetting(fields);
  const setting = parseSetting(after);
  const isTested = !context.env['JFS_NO_CHECK_OBJECT_STORAGE'];
  // Also finds out what is wrong with the bucket's name or the key.
  encryptionOf(setting, context.env['JFS_RSA_PASSPHRASE']);
  const store = await createObjectStore(setting, context, {}, context.signal);
  context.shutdown.push('object store', () => store.close());
  if (isTested) {
    await probeOrigin(setting, context);
    await checkEmpty(store, setting, context);
    await putUuid(store, setting, context);
  }
  const change = { before: undefined, after, needsTrash: setting.trashDays > 0 };
  try {
    await settings.store({ ...change, dropDirStats: false, dropOwnerUsage: false }, context.signal);
  } catch (error) {
    // A volume that may be there after all keeps its mark.
    const isUndone = !(error instanceof MetaError && error.code === 'outcome-unknown');
    if (isTested && isUndone) {
      await store.delete(volumeMarkKey(setting), context.signal).catch(() => undefined);
    }
    throw error;
  }
  return setting;
}

async function updateVolume(
  settings: SettingStore,
  asked: { readonly before: Uint8Array; readonly name: string; readonly given: GivenFlags },
  context: OneShot,
): Promise<VolumeSetting> {
  const old = readSettingText(asked.before);
  const { EncryptKey, EncryptAlgo, ...changes } = givenFields(FORMAT_FLAGS, asked.given);
  if (EncryptKey !== undefined || EncryptAlgo !== undefined) {
    context.logger.warn({}, 'the encryption of a volume cannot be changed, it stays as it is');
  }
  const fields = withFolder(changeSetting(old, { ...changes, Name: asked.name }, context.random));
  if (asked.given['force'] === true) {
    context.logger.warn({ uuid: old['UUID'] }, 'the setting of an existing volume is overwritten');
  } else {
    checkFixedFields(old, fields);
  }
  const change = changeFrom(asked.before, fields);
  const setting = parseSetting(change.after);
  if (!context.env['JFS_NO_CHECK_OBJECT_STORAGE']) await checkBucket(setting, context);
  await settings.store(change, context.signal);
  return setting;
}

/** Objects of another volume would be taken for this one's. */
async function checkEmpty(store: ObjectStore, setting: VolumeSetting, { signal }: OneShot) {
  const folder = `${setting.name}/`;
  for await (const { key, sizeBytes } of store.list(folder, signal)) {
    if (sizeBytes === 0 || key.startsWith(`${folder}testing/`)) continue;
    const where = `the bucket ${store.displayName} holds objects in ${folder} already`;
    const whose =
      key === volumeMarkKey(setting) ? await readSmallObject(store, key, signal) : undefined;
    const owner = whose === undefined ? '' : ` (of the volume ${printable(whose)})`;
    const message = `${where}, for example ${key}${owner}: empty it, or take another name`;
    throw new StoreError('bad-config', message);
  }
}

function printable(text: Buffer): string {
  const uuid = text.toString('utf8').trim();
  return /^[0-9a-f-]{36}$/i.test(uuid) ? uuid : 'with another UUID';
}

/** By this object clients tell whether a bucket is the volume's. */
async function putUuid(store: ObjectStore, setting: VolumeSetting, context: OneShot) {
  const encryption = encryptionOf(setting, context.env['JFS_RSA_PASSPHRASE']);
  const stored = { naming: namingOf(setting), compression: 'none', encryption } as const;
  const object = await encodeBlock(stored, Buffer.from(setting.uuid), context.random);
  await store.put(volumeMarkKey(setting), object, context.signal);
}

function print(setting: VolumeSetting, what: string, given: GivenFlags): void {
  if (given['json'] === true) {
    process.stdout.write(`${JSON.stringify(shownSetting(setting), undefined, 2)}\n`);
    return;
  }
  const table = new Table({ head: [`volume ${what}`, setting.name] });
  for (const [name, value] of Object.entries(shownSetting(setting)))
    table.push([name, String(value)]);
  process.stdout.write(`${table.toString()}\n`);
}
