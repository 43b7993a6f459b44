import { FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import { type Ino, TRASH_INO } from '../../posix/ino.ts';
import { ROOT_CALLER } from '../caller.ts';
import type { MetaReader } from '../engine.ts';
import { directoryEntries } from './directory-entries.ts';
import { trashHourName } from './entry-name.ts';
import type { WriteRunner } from './write-runner.ts';

const HOUR_MS = 3_600_000;
/** Two hours more than the days: what was removed at the end of an hour gets its whole time. */
const EXTRA_HOURS = 2;
const HOUR = /^\d{4}-\d{2}-\d{2}-\d{2}$/;

/** What the trash is emptied with. */
export interface EmptyTrashParts {
  readonly engine: MetaReader;
  readonly runner: WriteRunner;
  readonly onDeleted: (ino: Ino, length: bigint) => void;
}

/** Removes for good what has been in the trash for its days. @throws MetaError */
export async function emptyTrash(
  parts: EmptyTrashParts,
  wallMs: number,
  trashDays: number,
  signal: AbortSignal,
): Promise<void> {
  const { engine, runner } = parts;
  if ((await engine.getattr(TRASH_INO, signal)) === undefined) return;
  const edge = trashHourName(wallMs - (24 * trashDays + EXTRA_HOURS) * HOUR_MS);
  const options = { dir: TRASH_INO, withAttrs: false, unique: false };
  for await (const { ino, name } of directoryEntries(engine, options, signal)) {
    // Such names sort as their times do.
    const hour = Buffer.from(name).toString('latin1');
    if (!HOUR.test(hour) || hour >= edge) continue;
    await emptyDirectory(parts, ino, signal);
    const args = { parent: TRASH_INO, name, trash: undefined, caller: ROOT_CALLER };
    await unlessGone(runner.run('removeDirectory', args, { turns: [TRASH_INO], signal }));
  }
}

async function emptyDirectory(parts: EmptyTrashParts, dir: Ino, signal: AbortSignal) {
  const { engine, runner, onDeleted } = parts;
  const options = { dir, withAttrs: false, unique: false };
  for await (const { name, ino, type } of directoryEntries(engine, options, signal)) {
    const args = { parent: dir, name, trash: undefined, caller: ROOT_CALLER };
    if (type === FileType.directory) {
      await emptyDirectory(parts, ino, signal);
      await unlessGone(runner.run('removeDirectory', args, { turns: [dir], signal }));
      continue;
    }
    const removed = await unlessGone(runner.run('unlinkName', args, { turns: [dir], signal }));
    if (removed?.deleted !== undefined) onDeleted(ino, removed.deleted);
  }
}

/** Taken out meanwhile, removed by somebody else, or a name that came twice. */
async function unlessGone<T>(removal: Promise<T>): Promise<T | undefined> {
  try {
    return await removal;
  } catch (error) {
    if (error instanceof FsError && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
