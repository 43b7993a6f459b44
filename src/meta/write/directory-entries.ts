import type { Ino } from '../../posix/ino.ts';
import type { DirCursor, DirEntry, MetaReader } from '../engine.ts';

/** Which directory, and how. */
export interface EntriesOptions {
  readonly dir: Ino;
  readonly withAttrs: boolean;
  /** A name may come twice while the directory is changed, unless all names are kept in mind. */
  readonly unique: boolean;
}

/** All names of a directory, page by page. @throws MetaError */
export async function* directoryEntries(
  meta: MetaReader,
  { dir, withAttrs, unique }: EntriesOptions,
  signal: AbortSignal,
): AsyncGenerator<DirEntry, void, undefined> {
  const seen = new Set<string>();
  let cursor: DirCursor | undefined;
  do {
    const page = await meta.readdir(dir, { cursor, withAttrs }, signal);
    for (const entry of page.entries) {
      const key = unique ? Buffer.from(entry.name).toString('latin1') : '';
      if (!seen.has(key)) yield entry;
      if (unique) seen.add(key);
    }
    cursor = page.next;
  } while (cursor !== undefined);
}
