import type { DirCursor, MetaReader } from '../../meta/engine.ts';
import type { Attr } from '../../posix/attr.ts';
import { type Ino, ROOT_INO, TRASH_INO } from '../../posix/ino.ts';
import type { RootMap } from '../root-map.ts';

/** A longer way up is a loop in the metadata. */
const DEPTH_MAX = 4096;
const OUTSIDE = "path not shown because it's outside of the mounted root";

/**
 * All paths of an inode below the mounted root. Directories are searched for its name, so it takes
 * as long as they are large.
 *
 * @returns as many as could be found; none of what has lost its name
 * @throws what the engine throws
 */
export async function pathsOf(
  meta: MetaReader,
  root: RootMap,
  { ino, attr }: { ino: Ino; attr: Attr },
  signal: AbortSignal,
): Promise<string[]> {
  if (ino === root.root) return ['/'];
  const parents = attr.parent === 0n ? await meta.parents(ino, signal) : [attr.parent];
  const paths: string[] = [];
  for (const parent of new Set(parents)) {
    const directory = await directoryPath(meta, root, parent, signal);
    if (directory === undefined) continue;
    if (directory === OUTSIDE) paths.push(OUTSIDE);
    else {
      for (const name of await namesIn(meta, parent, ino, signal)) {
        paths.push(`${directory === '/' ? '' : directory}/${name}`);
      }
    }
  }
  return paths;
}

async function directoryPath(
  meta: MetaReader,
  root: RootMap,
  ino: Ino,
  signal: AbortSignal,
): Promise<string | undefined> {
  const names: string[] = [];
  let at = ino;
  for (let depth = 0; at !== root.root; depth += 1) {
    if (at === ROOT_INO) return OUTSIDE;
    if (at === TRASH_INO) return ['', '.trash', ...names].join('/');
    // Step by step: the parent is known only from the child.
    const attr = await meta.getattr(at, signal);
    if (attr === undefined || depth === DEPTH_MAX) return undefined;
    const [name] = await namesIn(meta, attr.parent, at, signal);
    if (name === undefined) return undefined;
    names.unshift(name);
    at = attr.parent;
  }
  return `/${names.join('/')}`;
}

async function namesIn(
  meta: MetaReader,
  directory: Ino,
  ino: Ino,
  signal: AbortSignal,
): Promise<string[]> {
  const names: string[] = [];
  let cursor: DirCursor | undefined;
  do {
    const page = await meta.readdir(directory, { cursor, withAttrs: false }, signal);
    for (const entry of page.entries) {
      if (entry.ino === ino) names.push(Buffer.from(entry.name).toString('utf8'));
    }
    cursor = page.next;
  } while (cursor !== undefined);
  return names;
}
