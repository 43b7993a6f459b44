import { lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { SPECIAL_INO } from '../posix/ino.ts';
import { UsageError } from './quantities.ts';
import type { Tree, TreeNode } from './tree.ts';

interface MountNode extends TreeNode {
  /** As the kernel has it: names are bytes. */
  readonly at: Buffer;
  /** A virtual file, the trash, or in it. */
  readonly isSpecial: boolean;
}

/** A tree below a mount point, by system calls: the rights are those of whoever calls. */
export class MountTree implements Tree<MountNode> {
  async find(path: string): Promise<MountNode> {
    try {
      return await nodeAt(Buffer.from(path));
    } catch (error) {
      throw new UsageError(`${path}: ${(error as Error).message}`);
    }
  }

  /** Virtual files and the trash are only seen by those who name them. */
  async *children({ at, isSpecial }: MountNode): AsyncIterable<MountNode> {
    const names = await unlessGone(() => readdir(at, { encoding: 'buffer' }));
    for (const name of names ?? []) {
      const child = await unlessGone(() => nodeAt(Buffer.concat([at, Buffer.from('/'), name])));
      if (child !== undefined && (isSpecial || !child.isSpecial)) yield child;
    }
  }

  async remove({ at, isDirectory }: MountNode): Promise<boolean> {
    const done = await unlessGone(async () => {
      await (isDirectory ? rmdir(at) : unlink(at));
      return true;
    });
    return done === true;
  }
}

async function nodeAt(at: Buffer): Promise<MountNode> {
  const stat = await lstat(at, { bigint: true });
  return {
    ...{ at, path: at.toString('utf8'), isSpecial: stat.ino >= SPECIAL_INO },
    ...{ isDirectory: stat.isDirectory(), lengthBytes: stat.size },
  };
}

async function unlessGone<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
