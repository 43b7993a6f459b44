import type { DirCursor, MetaReader } from '../../meta/engine.ts';
import { type Attr, FileType } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import { type Ticket } from '../open-file.ts';
import { TreeWalk } from '../warm/tree-walk.ts';

/** Sums over a tree, under JuiceFS's names. */
export interface Summary {
  /** Of files. */
  Length: bigint;
  /** What everything takes up: lengths rounded up to 4 KiB, at least that. */
  Size: bigint;
  /** Everything but directories. */
  Files: bigint;
  Dirs: bigint;
}

const ALIGN_BYTES = 4096n;

/** @returns sums of nothing */
export function emptySummary(): Summary {
  return { Length: 0n, Size: 0n, Files: 0n, Dirs: 0n };
}

/**
 * Counts an inode and, when it is a directory, what is in it, as JuiceFS does with `--strict`.
 *
 * @param what - `summary` is counted up as the walk goes on; `recursive`: all levels, else one
 * @throws what the engine throws; the signal's reason when aborted
 */
export async function summarize(
  meta: MetaReader,
  what: { ino: Ino; attr: Attr; recursive: boolean; summary: Summary },
  signal: AbortSignal,
): Promise<void> {
  const { ino, attr, recursive, summary } = what;
  if (attr.type !== FileType.directory) {
    count(summary, attr);
    return;
  }
  countDirectory(summary);
  if (!recursive) {
    await countEntries(meta, ino, summary, signal);
    return;
  }
  let failure: unknown;
  const walk = new TreeWalk(
    {
      meta,
      ticket: () => 0 as Ticket,
      onNode: async (node) => count(summary, node.attr),
      onDirectory: () => countDirectory(summary),
      onError: (_path, error) => {
        failure ??= error;
      },
    },
    signal,
  );
  await walk.run([{ ino, path: '' }]);
  if (failure instanceof Error) throw failure;
}

async function countEntries(
  meta: MetaReader,
  ino: Ino,
  summary: Summary,
  signal: AbortSignal,
): Promise<void> {
  let cursor: DirCursor | undefined;
  do {
    const page = await meta.readdir(ino, { cursor, withAttrs: true }, signal);
    for (const { type, attr } of page.entries) {
      if (type === FileType.directory) countDirectory(summary);
      else if (attr !== undefined) count(summary, attr);
    }
    cursor = page.next;
  } while (cursor !== undefined);
}

function count(summary: Summary, attr: Attr): void {
  summary.Files += 1n;
  summary.Size += aligned(attr.length);
  if (attr.type === FileType.file) summary.Length += attr.length;
}

function countDirectory(summary: Summary): void {
  summary.Dirs += 1n;
  summary.Size += ALIGN_BYTES;
}

function aligned(length: bigint): bigint {
  return length === 0n ? ALIGN_BYTES : ((length + ALIGN_BYTES - 1n) / ALIGN_BYTES) * ALIGN_BYTES;
}
