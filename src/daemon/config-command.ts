import type { Command } from 'commander';
import { compareClientVersions, parseClientVersion } from '../meta/client-version.ts';
import { createQuotas } from '../meta/create-writer.ts';
import { changeFrom, changeSetting } from '../meta/new-setting.ts';
import { parseSetting } from '../meta/parse-setting.ts';
import { readSettingText, type SettingFieldsByName } from '../meta/setting-text.ts';
import type { VolumeSetting } from '../meta/setting.ts';
import type { WritableEngine } from '../meta/writable-engine.ts';
import { goJson } from '../vfs/internal/control-message.ts';
import { withoutSecrets } from './config-text.ts';
import { isConfirmed } from './confirm.ts';
import { type OneShot, runOneShot } from './one-shot.ts';
import { checkBucket } from './probe-origin.ts';
import { UsageError } from './quantities.ts';
import { openMeta, openSettings } from './tool-meta.ts';
import {
  addSettingFlags,
  CONFIG_FLAGS,
  givenFields,
  type GivenFlags,
  withFolder,
} from './setting-flags.ts';

/** A changed field, as it is shown. */
interface Change {
  readonly field: string;
  readonly before: unknown;
  readonly after: unknown;
}

const SECRETS = new Set(['SecretKey', 'SessionToken']);
const STORAGE = ['Storage', 'Bucket', 'AccessKey', 'SecretKey', 'SessionToken'];

/** The options of `cachemesh config`, as JuiceFS has them. */
export function describeConfig(command: Command): void {
  command
    .description('show the setting of a volume, or change what is named')
    .argument('<META-URL>');
  addSettingFlags(command, CONFIG_FLAGS, false);
  command
    .option('-y, --yes', 'answer all questions with yes')
    .option('--force', 'change it without looking whether that makes sense')
    .option('--json', 'what was changed, as JSON')
    .action((metaUrl: string, given: GivenFlags) => config(metaUrl, given));
}

/** @throws UsageError, MetaError, StoreError */
async function config(metaUrl: string, given: GivenFlags): Promise<void> {
  const changes = givenFields(CONFIG_FLAGS, given);
  await runOneShot(async (context) => {
    const settings = openSettings(metaUrl, context);
    const before = await settings.load(context.signal);
    if (before === undefined) throw new UsageError(`${settings.displayUrl} holds no volume`);
    const old = readSettingText(before);
    if (Object.keys(changes).length === 0) {
      process.stdout.write(`${goJson(withoutSecrets(old), 2)}\n`);
      return;
    }
    if (given['force'] !== true) checkVersions(old, changes);
    const fields = withFolder(changeSetting(old, changes, context.random));
    const changed = changesOf(old, fields, changes);
    const change = changeFrom(before, fields);
    const setting = parseSetting(change.after);
    if (changed.length > 0) {
      if (given['force'] !== true) await check({ metaUrl, old, setting, changed, given }, context);
      await settings.store(change, context.signal);
      if (change.dropOwnerUsage) await countOwners(metaUrl, context);
    }
    process.stdout.write(`${given['json'] === true ? goJson(changed, 2) : textOf(changed)}\n`);
  });
}

/** Clients that have the volume mounted charge by themselves from their next heartbeat on. */
async function countOwners(metaUrl: string, context: OneShot): Promise<void> {
  const engine = await openMeta(metaUrl, context);
  const parts = { ...context, engine, sid: () => undefined };
  const { owners } = await createQuotas(parts, context.signal);
  await owners.countAll(context.signal);
}

interface Checked {
  readonly metaUrl: string;
  readonly old: SettingFieldsByName;
  readonly setting: VolumeSetting;
  readonly changed: readonly Change[];
  readonly given: GivenFlags;
}

async function check(checked: Checked, context: OneShot): Promise<void> {
  const { metaUrl, old, setting, changed } = checked;
  const has = (...names: string[]) => changed.some(({ field }) => names.includes(field));
  if (old['EnableACL'] === true && !setting.enableAcl) {
    throw new UsageError('--enable-acl: ACLs cannot be switched off');
  }
  if (has(...STORAGE)) await checkBucket(setting, context);
  if (has('TrashDays') && setting.trashDays === 0) {
    await confirm('the trash will be emptied, and what is removed is gone at once', checked);
  }
  const meta = await openMeta(metaUrl, context);
  if (has('Capacity', 'Inodes')) await checkRoom(meta, checked, context);
  if (has('DirStats') && !setting.dirStats) await checkNoQuotas(meta, context);
  if (has('MinClientVersion', 'MaxClientVersion')) await checkClients(meta, checked, context);
}

function checkVersions(old: SettingFieldsByName, changes: SettingFieldsByName): void {
  const [before, after] = [old, changes].map(({ MinClientVersion: text }) =>
    parseClientVersion(typeof text === 'string' ? text : ''),
  );
  if (before === undefined || after === undefined) return;
  if (compareClientVersions(after, before) >= 0) return;
  const message = `it is ${String(old['MinClientVersion'])} and can only rise`;
  throw new UsageError(`--min-client-version: ${message}`);
}

async function checkRoom(meta: WritableEngine, checked: Checked, { signal }: OneShot) {
  const { capacityBytes, inodesMax } = checked.setting;
  const { usedBytes, inodes } = await meta.usage(signal);
  const isFull =
    (capacityBytes > 0n && usedBytes >= capacityBytes) || (inodesMax > 0n && inodes >= inodesMax);
  if (!isFull) return;
  const used = `${usedBytes} bytes and ${inodes} inodes are in use`;
  await confirm(`nothing can be written any more: ${used}`, checked);
}

async function checkNoQuotas(meta: WritableEngine, { signal }: OneShot): Promise<void> {
  const { length } = await meta.scans.dirQuotas(signal);
  if (length > 0)
    throw new UsageError(`--dir-stats: ${length} directories have quotas, which need them`);
}

/** Clients that are at work now must not lose the volume unexpectedly. */
async function checkClients(meta: WritableEngine, checked: Checked, { signal }: OneShot) {
  const { raw } = checked.setting;
  const [min, max] = [raw['MinClientVersion'], raw['MaxClientVersion']].map((text) =>
    parseClientVersion(typeof text === 'string' ? text : ''),
  );
  const outside = (await meta.listSessions(signal)).filter(({ info }) => {
    const own = parseClientVersion(info?.Version ?? '');
    if (own === undefined) return false;
    const isOld = min !== undefined && compareClientVersions(own, min) < 0;
    return isOld || (max !== undefined && compareClientVersions(own, max) > 0);
  });
  if (outside.length === 0) return;
  const names = outside.map(
    ({ info }) => `${info?.HostName}:${info?.MountPoint} (${info?.Version})`,
  );
  await confirm(`these clients will lose the volume: ${names.join(', ')}`, checked);
}

/** @throws UsageError when the answer is not yes */
async function confirm(what: string, { given }: Checked): Promise<void> {
  if (given['yes'] === true) return;
  if (!(await isConfirmed(`${what}. Go on?`))) throw new UsageError('nothing was changed');
}

function changesOf(
  old: SettingFieldsByName,
  fields: SettingFieldsByName,
  asked: SettingFieldsByName,
): Change[] {
  // A secret's text differs each time that it is sealed: what was asked for counts as changed.
  return Object.keys({ ...old, ...fields }).flatMap((field) => {
    if (SECRETS.has(field)) {
      return asked[field] === undefined ? [] : [{ field, before: 'a secret', after: 'another' }];
    }
    const [before, after] = [old[field], fields[field]];
    const isSame = goJson(before || null) === goJson(after || null);
    return isSame || field === 'KeyEncrypted' ? [] : [{ field, before, after }];
  });
}

function textOf(changed: readonly Change[]): string {
  if (changed.length === 0) return 'nothing was changed: all is like that already';
  const shown = (value: unknown) => goJson(value ?? null);
  return changed
    .map(({ field, before, after }) => `${field}: ${shown(before)} → ${shown(after)}`)
    .join('\n');
}
