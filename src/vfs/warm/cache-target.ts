import type { MetaReader } from '../../meta/engine.ts';
import { type Attr, FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import { type Ino, toIno } from '../../posix/ino.ts';
import type { RootMap } from '../root-map.ts';
import { isSpecial } from '../virtual-nodes.ts';

/** Something whose blocks are to be looked after. */
export interface CacheTarget {
  /** The volume's inode. */
  readonly ino: Ino;
  readonly attr: Attr;
  /** For people. */
  readonly path: string;
}

/** Symlinks that one path may lead through. @see path_resolution(7) */
const LINKS_MAX = 40;
const INODE = /^inode:(\d{1,20})$/;

/**
 * Finds what a path of a request means, as JuiceFS's tools write it.
 *
 * @param path - relative to the mounted root, with or without slashes at its ends, or `inode:<n>`
 *   with an inode number as the mount shows it. Relative symlinks are followed
 * @throws FsError ENOENT, ENOTDIR, ELOOP, EOPNOTSUPP (a symlink that leaves the volume); what the
 *   engine throws
 */
export async function resolveTarget(
  meta: MetaReader,
  root: RootMap,
  path: string,
  signal: AbortSignal,
): Promise<CacheTarget> {
  const number = INODE.exec(path)?.[1];
  if (number === undefined) return new PathWalk(meta, root, signal).resolve(path);
  const ino = root.toVolume(toIno(BigInt(number)));
  const attr = isSpecial(ino) ? undefined : await meta.getattr(ino, signal);
  if (attr === undefined) throw new FsError('ENOENT', `no inode ${number}`);
  return { ino, attr, path };
}

class PathWalk {
  readonly #meta: MetaReader;
  readonly #root: RootMap;
  readonly #signal: AbortSignal;
  #links = 0;

  constructor(meta: MetaReader, root: RootMap, signal: AbortSignal) {
    this.#meta = meta;
    this.#root = root;
    this.#signal = signal;
  }

  async resolve(path: string): Promise<CacheTarget> {
    let names = path.split('/');
    /** Where the walk is, the mounted root first. */
    const above: CacheTarget[] = [await this.#rootTarget()];
    while (names.length > 0) {
      const [name, ...rest] = names;
      names = rest;
      if (name === undefined || name === '' || name === '.') continue;
      if (name === '..') {
        if (above.length > 1) above.pop();
        continue;
      }
      const found = await this.#step(above.at(-1) as CacheTarget, name);
      if (found.attr.type === FileType.symlink) names = [...(await this.#follow(found)), ...names];
      else above.push(found);
    }
    return above.at(-1) as CacheTarget;
  }

  async #rootTarget(): Promise<CacheTarget> {
    const ino = this.#root.root;
    const attr = await this.#meta.getattr(ino, this.#signal);
    if (attr === undefined) throw new FsError('ENOENT', 'the mounted root is gone');
    return { ino, attr, path: '' };
  }

  async #step(from: CacheTarget, name: string): Promise<CacheTarget> {
    const path = `${from.path}/${name}`;
    if (from.attr.type !== FileType.directory) throw new FsError('ENOTDIR', path);
    const entry = await this.#meta.lookup(from.ino, Buffer.from(name), this.#signal);
    if (entry === undefined) throw new FsError('ENOENT', path);
    return { ...entry, path };
  }

  async #follow(link: CacheTarget): Promise<string[]> {
    this.#links += 1;
    if (this.#links > LINKS_MAX) throw new FsError('ELOOP', link.path);
    const target = await this.#meta.readlink(link.ino, this.#signal);
    const text = Buffer.from(target ?? '').toString('utf8');
    if (text === '') throw new FsError('ENOENT', link.path);
    if (text.startsWith('/') || text.includes('://')) {
      throw new FsError('EOPNOTSUPP', `${link.path} leads out of the volume`);
    }
    return text.split('/');
  }
}
