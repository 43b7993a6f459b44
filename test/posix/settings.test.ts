import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { runHere } from '../servers/cli-here.ts';
import { startDaemon, type TestDaemon } from '../servers/daemons.ts';
import { type Engine, formattedVolume } from '../servers/formatted-volume.ts';
import { waitUntil } from '../servers/wait-until.ts';
import { startWriter } from '../servers/writable.ts';
import { USERS } from './agents.ts';
import { casesOf, isExt4, onDisk, type Place, runCases } from './suite.ts';
import { aclTable } from './tables/acl.ts';
import { limitsTable } from './tables/limits.ts';
import { readOnlyTable } from './tables/read-only.ts';

const ACLS = casesOf({ acl: aclTable });
const WRITABLE = casesOf({ acl: aclTable, limits: limitsTable });
const READ_ONLY = casesOf({ 'read-only': readOnlyTable });
const FORMAT = ['--block-size', '64', '--trash-days', '0', '--enable-acl'];
const LIMITED = ['--capacity', '1', '--inodes', '400'];
const hasExt4 = await isExt4();

/** Mounts of one volume. */
interface Mounts {
  readonly writable: string;
  readonly readOnly: string;
  stop(): Promise<void>;
}

async function mounts(engine: Engine): Promise<Mounts> {
  const volume = await formattedVolume(engine, [...FORMAT, ...LIMITED]);
  const administer = async (...words: string[]) => {
    const [command = '', ...rest] = words;
    const { status, stderr } = await runHere([command, ...rest]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  };
  await administer('config', volume.metaUrl, '--user-group-quota', '--yes');
  const memory = ['--cache-dir', 'memory', '--memory-cache-size', '64'];
  const [writer, reader] = await Promise.all([
    startWriter(volume, { name: 'writer', args: ['--skip-dir-mtime', '0'] }),
    startDaemon({ name: 'reader', metaUrl: volume.metaUrl, args: ['--read-only', ...memory] }),
  ]);
  const quota = (...words: string[]) => administer('quota', 'set', volume.metaUrl, ...words);
  const stop = async () => {
    await Promise.all([writer.stop(), reader.stop()]);
    await volume.stop();
  };
  await prepare(writer, quota).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    writable: join(writer.mountpoint, 'writable'),
    readOnly: join(reader.mountpoint, 'read-only'),
    stop,
  };
}

/** Makes what the tables find. */
async function prepare(
  { mountpoint }: TestDaemon,
  quota: (...words: string[]) => Promise<void>,
): Promise<void> {
  const at = (path: string) => join(mountpoint, path);
  await mkdir(at('writable/bytes'), { recursive: true });
  await mkdir(at('writable/inodes'));
  await quota('--path', '/writable/inodes', '--inodes', '2');
  await quota('--uid', String(USERS.carol.uid), '--inodes', '2');
  await quota('--path', '/writable/bytes', '--capacity', '1M');
  await mkdir(at('read-only/dir'), { recursive: true });
  await mkdir(at('read-only/empty'));
  for (const [name, content] of Object.entries({ file: '0123', own: '', 'dir/file': 'inside' })) {
    await writeFile(at(`read-only/${name}`), content);
    await chmod(at(`read-only/${name}`), 0o644);
  }
  await chown(at('read-only/own'), USERS.alice.uid, USERS.alice.gid);
  await symlink('file', at('read-only/link'));
  const run = promisify(execFile);
  await run('mkfifo', ['-m', '644', at('read-only/pipe')]);
  await run('setfattr', ['-n', 'user.kept', '-v', 'value', at('read-only/file')]);
  // A mount hears of quotas with its heartbeat, of the last one not before the others.
  await writeFile(at('writable/bytes/probe'), '');
  const holds = async () => {
    // Nothing but growth is charged: what was taken before it held is given back first.
    await truncate(at('writable/bytes/probe'), 0);
    const done = truncate(at('writable/bytes/probe'), 2 ** 21).then(() => 0);
    const errno = await done.catch((error: NodeJS.ErrnoException) => error.errno ?? 0);
    return errno === -constants.errno.EDQUOT;
  };
  await waitUntil('quotas to hold', holds);
  await unlink(at('writable/bytes/probe'));
}

describe.skipIf(!hasExt4)('ACLs on ext4', () => {
  let place: Place | undefined;
  runCases(ACLS, async () => {
    place = await onDisk();
    return place;
  });
  afterAll(() => place?.stop());
});

describe.each(['redis', 'sqlite'] as const)(
  'a volume with a setting of its own on %s',
  (engine) => {
    let all: Mounts | undefined;
    const place = (which: 'writable' | 'readOnly') => async () => ({ folder: all?.[which] ?? '' });

    beforeAll(async () => {
      all = await mounts(engine);
    });

    afterAll(() => all?.stop());

    describe('with ACLs and limits', () => {
      runCases(WRITABLE, place('writable'));
    });
    describe('that is only read', () => {
      runCases(READ_ONLY, place('readOnly'), { folder: () => all?.readOnly ?? '' });
    });
  },
);
