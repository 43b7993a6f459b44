import type { Command } from 'commander';
import { createQuotas } from '../meta/create-writer.ts';
import { changeFrom, changeSetting } from '../meta/new-setting.ts';
import { readSettingText } from '../meta/setting-text.ts';
import type { QuotaOwner } from '../meta/write/owner-quota.ts';
import { CodedError } from '../runtime/coded-error.ts';
import { DirQuotaBook } from './dir-quota-book.ts';
import { type OneShot, runOneShot } from './one-shot.ts';
import { OwnerQuotaBook } from './owner-quota-book.ts';
import { parseSize, parseWhole, UsageError } from './quantities.ts';
import { isWrong, type NewLimits, type QuotaBook, type QuotaLine } from './quota-book.ts';
import { quotaJson, quotaTable } from './quota-text.ts';
import { openMeta, openSettings } from './tool-meta.ts';

interface QuotaOptions {
  readonly path?: string;
  readonly uid?: string;
  readonly gid?: string;
  readonly capacity?: string;
  readonly inodes?: string;
  readonly repair?: boolean;
  readonly json?: boolean;
}

/** What is stored is not what there is; the output tells where. */
export class QuotaError extends CodedError<'inconsistent'> {}

/** Whose quota the options name. */
type Target = { readonly path: string } | QuotaOwner | undefined;

interface Opened {
  /** Of what was named, or of everything. */
  readonly books: readonly QuotaBook[];
  readonly options: QuotaOptions;
}

type Work = (opened: Opened) => Promise<QuotaLine[]>;

const ID_MAX = 2 ** 32 - 1;
const COUNT_MAX = Number.MAX_SAFE_INTEGER;

/** The commands of `cachemesh quota`. */
export function describeQuota(command: Command): void {
  command.description('limit what directories, users and groups may hold');
  const add = (name: string, description: string, work: Work) =>
    command
      .command(name)
      .description(description)
      .argument('<META-URL>')
      .option('--path <PATH>', 'of the directory, in the volume')
      .option('--uid <N>', 'of the user, by number; not 0')
      .option('--gid <N>', 'of the group, by number')
      .option('--json', 'as JSON')
      .action((metaUrl: string, options: QuotaOptions) =>
        run(metaUrl, options, { isSet: name === 'set', work }),
      );
  add('set', 'limit a directory, user or group, or change its limits', set)
    .option(
      '--capacity <SIZE>',
      'of all that is in it, or theirs; a bare number is GiB, 0 no limit',
    )
    .option('--inodes <N>', 'files and directories in it, or theirs, 0 no limit');
  add('get', 'show the limits of a directory, user or group', async ({ books }) => [
    await one(books).get(),
  ]);
  add('delete', 'take the limits off a directory, user or group', async ({ books }) => [
    await one(books).remove(),
  ]).alias('del');
  add('list', 'show all limits', list).alias('ls');
  add('check', 'count what there is: of all directories with limits, and everybody', check).option(
    '--repair',
    'store what was counted',
  );
}

async function run(
  metaUrl: string,
  options: QuotaOptions,
  { isSet, work }: { readonly isSet: boolean; readonly work: Work },
): Promise<void> {
  const target = targetOf(options);
  if (isSet) limitsOf(options);
  await runOneShot(async (context) => {
    const isOwner = target !== undefined && 'kind' in target;
    const field = isOwner ? 'UserGroupQuota' : 'DirStats';
    const isFirst = isSet && target !== undefined && (await switchOn(metaUrl, field, context));
    const meta = await openMeta(metaUrl, context);
    const { signal } = context;
    const quotas = await createQuotas({ ...context, engine: meta, sid: () => undefined }, signal);
    const books: QuotaBook[] = [];
    if (!isOwner) {
      books.push(await DirQuotaBook.open(meta, quotas.dirs, target?.path, signal));
    }
    // Clients that have the volume mounted charge by themselves from their next heartbeat on.
    if (isOwner && isFirst) await quotas.owners.countAll(signal);
    if (isOwner || (target === undefined && (await meta.loadSetting(signal)).userGroupQuota)) {
      books.push(new OwnerQuotaBook(quotas.owners, isOwner ? target : undefined, signal));
    }
    const lines = await work({ books, options });
    process.stdout.write(`${options.json === true ? quotaJson(lines) : quotaTable(lines)}\n`);
    const wrong = lines.filter(isWrong);
    if (wrong.length === 0 || options.repair === true) return;
    const message = `${wrong.length} quotas are not charged with what there is; --repair mends them`;
    throw new QuotaError('inconsistent', message);
  });
}

/** @throws UsageError when several are named */
function targetOf({ path, uid, gid }: QuotaOptions): Target {
  const named = [path, uid, gid].filter((each) => each !== undefined);
  if (named.length > 1) throw new UsageError('--path, --uid, --gid: only one of them');
  if (path !== undefined) return { path };
  if (uid !== undefined) {
    return { kind: 'user', id: parseWhole('--uid', uid, { min: 1, max: ID_MAX }) };
  }
  if (gid === undefined) return undefined;
  return { kind: 'group', id: parseWhole('--gid', gid, { min: 0, max: ID_MAX }) };
}

function limitsOf({ path, uid, gid, capacity, inodes }: QuotaOptions): NewLimits {
  one([path, uid, gid].filter((each) => each !== undefined));
  if (capacity === undefined && inodes === undefined) {
    throw new UsageError('set: --capacity or --inodes tells the limit');
  }
  return {
    maxBytes: capacity === undefined ? undefined : BigInt(parseSize('--capacity', capacity, 'G')),
    maxInodes:
      inodes === undefined
        ? undefined
        : BigInt(parseWhole('--inodes', inodes, { min: 0, max: COUNT_MAX })),
  };
}

async function set({ books, options }: Opened): Promise<QuotaLine[]> {
  return [await one(books).set(limitsOf(options))];
}

async function list({ books }: Opened): Promise<QuotaLine[]> {
  const lines: QuotaLine[] = [];
  for (const book of books) lines.push(...(await book.list()));
  return lines;
}

async function check({ books, options }: Opened): Promise<QuotaLine[]> {
  const lines: QuotaLine[] = [];
  for (const book of books) lines.push(...(await book.check(options.repair === true)));
  return lines;
}

/** @throws UsageError when nothing was named */
function one<T>(named: readonly T[]): T {
  const [first, ...others] = named;
  if (first !== undefined && others.length === 0) return first;
  throw new UsageError('--path, --uid or --gid: whose quota?');
}

/**
 * Quotas of directories need statistics, which very old volumes do not keep, and those of users and
 * groups need their usage, which none keeps at first.
 *
 * @returns whether it was off
 */
async function switchOn(
  metaUrl: string,
  field: 'DirStats' | 'UserGroupQuota',
  context: OneShot,
): Promise<boolean> {
  const settings = openSettings(metaUrl, context);
  const before = await settings.load(context.signal);
  if (before === undefined) return false;
  const fields = readSettingText(before);
  if (fields[field] === true) return false;
  const after = changeSetting(fields, { [field]: true }, context.random);
  await settings.store(changeFrom(before, after), context.signal);
  return true;
}
