import Table from 'cli-table3';
import type { Command } from 'commander';
import { createDirQuotas } from '../meta/create-writer.ts';
import type { DirQuota } from '../meta/engine.ts';
import { changeFrom, changeSetting } from '../meta/new-setting.ts';
import { readSettingText } from '../meta/setting-text.ts';
import type { DirQuotas } from '../meta/write/dir-quotas.ts';
import type { DirQuotaAt } from '../meta/write/scans.ts';
import type { WritableEngine } from '../meta/writable-engine.ts';
import { type Ino, TRASH_INO } from '../posix/ino.ts';
import { CodedError } from '../runtime/coded-error.ts';
import { bigintText } from './bigint-text.ts';
import { byteText } from './byte-text.ts';
import { inodePath } from './inode-path.ts';
import { MetaTree } from './meta-tree.ts';
import { type OneShot, runOneShot } from './one-shot.ts';
import { parseSize, parseWhole, UsageError } from './quantities.ts';
import { openMeta, openSettings } from './tool-meta.ts';

interface QuotaOptions {
  readonly path?: string;
  readonly capacity?: string;
  readonly inodes?: string;
  readonly repair?: boolean;
  readonly json?: boolean;
}

/** What is stored is not what there is; the output tells where. */
export class QuotaError extends CodedError<'inconsistent'> {}

/** A line of the output. */
interface Shown {
  readonly path: string;
  readonly quota: DirQuota;
  /** Of a check: what there is in truth. */
  readonly actual?: { readonly space: bigint; readonly inodes: bigint };
}

interface Opened {
  readonly meta: WritableEngine;
  readonly quotas: DirQuotas;
  readonly context: OneShot;
  /** Of `--path`. */
  readonly dir: Ino | undefined;
}

type Work = (opened: Opened, options: QuotaOptions) => Promise<Shown[]>;
/** Looks at what is to be set before anything is changed. @throws UsageError */
type CheckNew = (options: QuotaOptions) => void;

const WHICH = '--path: which directory of the volume?';

/** The commands of `cachemesh quota`. */
export function describeQuota(command: Command): void {
  command.description('limit what directories may hold');
  const add = (name: string, description: string, work: Work, checkFirst?: CheckNew) =>
    command
      .command(name)
      .description(description)
      .argument('<META-URL>')
      .option('--path <PATH>', 'of the directory, in the volume')
      .option('--json', 'as JSON')
      .action((metaUrl: string, options: QuotaOptions) =>
        run(metaUrl, options, { work, checkFirst }),
      );
  add('set', 'limit a directory, or change its limits', set, checkNew)
    .option('--capacity <SIZE>', 'of all that is in it; a bare number is GiB, 0 no limit')
    .option('--inodes <N>', 'files and directories in it, 0 no limit');
  add('get', 'show the limits of a directory', get);
  add('delete', 'take the limits off a directory', remove);
  add('list', 'show all limits', list);
  add('check', 'count what is in a directory, or in all that have limits', check).option(
    '--repair',
    'store what was counted',
  );
}

async function run(
  metaUrl: string,
  options: QuotaOptions,
  { work, checkFirst }: { work: Work; checkFirst: CheckNew | undefined },
): Promise<void> {
  await runOneShot(async (context) => {
    if (checkFirst !== undefined) {
      checkFirst(options);
      await keepStatistics(metaUrl, context);
    }
    const meta = await openMeta(metaUrl, context);
    const parts = { ...context, engine: meta, sid: () => undefined };
    const quotas = await createDirQuotas(parts, context.signal);
    const dir =
      options.path === undefined ? undefined : await directoryOf(meta, options.path, context);
    const shown = await work({ meta, quotas, context, dir }, options);
    process.stdout.write(`${options.json === true ? jsonOf(shown) : tableOf(shown)}\n`);
    const wrong = shown.filter(isWrong);
    if (wrong.length === 0 || options.repair === true) return;
    const message = `${wrong.length} quotas are not charged with what there is; --repair mends them`;
    throw new QuotaError('inconsistent', message);
  });
}

function limitsOf({ capacity, inodes }: QuotaOptions) {
  if (capacity === undefined && inodes === undefined) {
    throw new UsageError('set: --capacity or --inodes tells the limit');
  }
  const max = Number.MAX_SAFE_INTEGER;
  return {
    maxBytes: capacity === undefined ? undefined : BigInt(parseSize('--capacity', capacity, 'G')),
    maxInodes:
      inodes === undefined ? undefined : BigInt(parseWhole('--inodes', inodes, { min: 0, max })),
  };
}

function checkNew(options: QuotaOptions): void {
  if (options.path === undefined) throw new UsageError(WHICH);
  limitsOf(options);
}

async function set(opened: Opened, options: QuotaOptions): Promise<Shown[]> {
  await opened.quotas.set(named(opened), limitsOf(options), opened.context.signal);
  return get(opened, options);
}

async function get(opened: Opened, { path = '' }: QuotaOptions): Promise<Shown[]> {
  const quota = await opened.quotas.get(named(opened), opened.context.signal);
  if (quota === undefined) throw new UsageError(`--path: ${path} has no quota`);
  return [{ path, quota }];
}

async function remove(opened: Opened, options: QuotaOptions): Promise<Shown[]> {
  const before = await get(opened, options);
  await opened.quotas.remove(named(opened), opened.context.signal);
  return before;
}

function named({ dir }: Opened): Ino {
  if (dir === undefined) throw new UsageError(WHICH);
  return dir;
}

async function list({ meta, quotas, context }: Opened): Promise<Shown[]> {
  const shown: Shown[] = [];
  for (const { dir, quota } of await quotas.list(context.signal)) {
    shown.push({ path: await pathOf(meta, dir, context.signal), quota });
  }
  return shown.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

async function check(opened: Opened, options: QuotaOptions): Promise<Shown[]> {
  const { quotas, context, dir: only } = opened;
  const all = await quotas.list(context.signal);
  const wanted = only === undefined ? all : all.filter(({ dir }) => dir === only);
  if (only !== undefined && wanted.length === 0) {
    throw new UsageError(`--path: ${options.path} has no quota`);
  }
  const shown: Shown[] = [];
  for (const each of wanted) shown.push(await checkOne(opened, each, options));
  return shown;
}

async function checkOne(
  { meta, quotas, context }: Opened,
  at: DirQuotaAt,
  options: QuotaOptions,
): Promise<Shown> {
  const { signal } = context;
  const shown = { path: await pathOf(meta, at.dir, signal), ...(await quotas.check(at, signal)) };
  if (options.repair === true && isWrong(shown)) await quotas.repair(at.dir, signal);
  return shown;
}

/** Quotas need statistics of directories, which very old volumes do not keep. */
async function keepStatistics(metaUrl: string, context: OneShot): Promise<void> {
  const settings = openSettings(metaUrl, context);
  const before = await settings.load(context.signal);
  if (before === undefined) return;
  const fields = readSettingText(before);
  if (fields['DirStats'] === true) return;
  const after = changeSetting(fields, { DirStats: true }, context.random);
  await settings.store(changeFrom(before, after), context.signal);
}

async function directoryOf(meta: WritableEngine, path: string, { signal }: OneShot): Promise<Ino> {
  const node = await new MetaTree({ meta, signal }).find(path);
  if (!node.isDirectory) throw new UsageError(`--path: ${path} is not a directory`);
  if (node.ino >= TRASH_INO) throw new UsageError('--path: the trash has no quota');
  return node.ino;
}

async function pathOf(meta: WritableEngine, dir: Ino, signal: AbortSignal): Promise<string> {
  const nameless = `inode ${dir}`;
  return await inodePath(meta, dir, { gone: `${nameless}, which is gone`, nameless }, signal);
}

function isWrong({ quota, actual }: Shown): boolean {
  if (actual === undefined) return false;
  return quota.usedBytes !== actual.space || quota.usedInodes !== actual.inodes;
}

function tableOf(all: readonly Shown[]): string {
  const right = Array.from({ length: 4 }, () => 'right' as const);
  const isCheck = all.some(({ actual }) => actual !== undefined);
  const table = new Table({
    head: ['path', 'size', 'used', 'inodes', 'used', ...(isCheck ? ['found'] : [])],
    colAligns: ['left', ...right],
  });
  for (const each of all) {
    const { maxBytes, maxInodes, usedBytes, usedInodes } = each.quota;
    const found = isWrong(each)
      ? `${byteText(Number(each.actual?.space))}, ${each.actual?.inodes} inodes`
      : 'the same';
    table.push([
      ...[each.path, maxBytes > 0n ? byteText(Number(maxBytes)) : 'no limit'],
      ...[byteText(Number(usedBytes)), maxInodes > 0n ? String(maxInodes) : 'no limit'],
      ...[String(usedInodes), ...(isCheck ? [found] : [])],
    ]);
  }
  return table.toString();
}

function jsonOf(all: readonly Shown[]): string {
  const lines = all.map(({ path, quota, actual }) => ({
    path,
    ...quota,
    ...(actual !== undefined && { foundBytes: actual.space, foundInodes: actual.inodes }),
  }));
  return JSON.stringify(lines, bigintText, 2);
}
