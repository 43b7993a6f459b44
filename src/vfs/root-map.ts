import { FileType } from '../posix/attr.ts';
import { FsError } from '../posix/errno.ts';
import { inodeOf } from '../fuse/node-alias.ts';
import { type Ino, ROOT_INO } from '../posix/ino.ts';
import type { MetaReader } from '../meta/engine.ts';

/**
 * Presents a directory of the volume as the root of the mount. An inode can have another number for a
 * while, an alias; the kernel's requests may name it by that one, by its own and by former ones.
 */
export class RootMap {
  /** The volume's inode of the mounted root. */
  readonly root: Ino;
  /** Whether the volume's own root is mounted. */
  readonly isWhole: boolean;
  readonly #aliases = new Map<Ino, Ino>();

  /** @param root - a directory of the volume */
  constructor(root: Ino) {
    this.root = root;
    this.isWhole = root === ROOT_INO;
  }

  /** The volume's inode for the kernel's. */
  toVolume(ino: Ino): Ino {
    return ino === ROOT_INO ? this.root : inodeOf(ino);
  }

  /** What the kernel is told for the volume's inode. */
  toKernel(ino: Ino): Ino {
    const alias = this.#aliases.size === 0 ? undefined : this.#aliases.get(ino);
    return alias ?? this.ownNode(ino);
  }

  /** The kernel's inode for the volume's as long as it has no alias. */
  ownNode(ino: Ino): Ino {
    return ino === this.root ? ROOT_INO : ino;
  }

  /** @param alias - what the kernel is told from now on; undefined: its own number */
  setAlias(ino: Ino, alias: Ino | undefined): void {
    if (alias === undefined) this.#aliases.delete(ino);
    else this.#aliases.set(ino, alias);
  }
}

/**
 * Finds the directory of `--subdir`.
 *
 * @param path - relative to the volume's root, with or without slashes at its ends
 * @throws FsError ENOENT or ENOTDIR; what the engine throws
 */
export async function resolveDirectory(
  meta: MetaReader,
  path: string,
  signal: AbortSignal,
): Promise<Ino> {
  let ino = ROOT_INO;
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    // Step by step: each name is looked up in the directory that was found before.
    const entry = await meta.lookup(ino, Buffer.from(name), signal);
    if (entry === undefined) throw new FsError('ENOENT', `${path}: no such directory`);
    if (entry.attr.type !== FileType.directory) {
      throw new FsError('ENOTDIR', `${path}: not a directory`);
    }
    ino = entry.ino;
  }
  return ino;
}
