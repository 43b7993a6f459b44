import { FileType } from '../posix/attr.ts';
import { FsError } from '../posix/errno.ts';
import { type Ino, ROOT_INO } from '../posix/ino.ts';
import type { MetaReader } from '../meta/engine.ts';

/** Presents a directory of the volume as the root of the mount. */
export class RootMap {
  /** The volume's inode of the mounted root. */
  readonly root: Ino;
  /** Whether the volume's own root is mounted. */
  readonly isWhole: boolean;

  /** @param root - a directory of the volume */
  constructor(root: Ino) {
    this.root = root;
    this.isWhole = root === ROOT_INO;
  }

  /** The volume's inode for the kernel's. */
  toVolume(ino: Ino): Ino {
    return ino === ROOT_INO ? this.root : ino;
  }

  /** The kernel's inode for the volume's. */
  toKernel(ino: Ino): Ino {
    return ino === this.root ? ROOT_INO : ino;
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
