import type { MetaReader } from '../meta/engine.ts';
import { type Ino, ROOT_INO } from '../posix/ino.ts';
import { pathsOf } from '../vfs/internal/node-paths.ts';
import { RootMap } from '../vfs/root-map.ts';

/**
 * A path of an inode in its volume, to be shown.
 *
 * @param without - what is shown of an inode that is gone, or has no name
 */
export async function inodePath(
  meta: MetaReader,
  ino: Ino,
  without: { readonly gone: string; readonly nameless: string },
  signal: AbortSignal,
): Promise<string> {
  const attr = await meta.getattr(ino, signal);
  if (attr === undefined) return without.gone;
  const [path] = await pathsOf(meta, new RootMap(ROOT_INO), { ino, attr }, signal);
  return path ?? without.nameless;
}
