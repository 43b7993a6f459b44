import { execFile } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeTempDir } from './temp.ts';

const run = promisify(execFile);

/** How each file system is made. */
const MAKERS = {
  xfs: ['mkfs.xfs', '-q', '-m', 'reflink=1'],
  ext4: ['mkfs.ext4', '-q', '-F'],
} as const;

/** Whether file systems can be mounted here. */
export const canMountDisks = process.getuid?.() === 0;

/** A file system of its own, in a file. */
export interface LoopDisk {
  /** Where it is mounted. */
  readonly dir: string;
  stop(): Promise<void>;
}

/**
 * Makes a file system and mounts it; takes root.
 *
 * @param sizeMib - at least 300 for xfs; the file is sparse
 */
export async function makeLoopDisk(type: keyof typeof MAKERS, sizeMib: number): Promise<LoopDisk> {
  const folder = await makeTempDir(type);
  const [image, dir] = [join(folder, 'image'), join(folder, 'disk')];
  const file = await open(image, 'w');
  await file.truncate(sizeMib * 2 ** 20);
  await file.close();
  await mkdir(dir);
  const [program, ...options] = MAKERS[type];
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  await run(program, [...options, image], { env });
  await run('mount', ['-o', 'loop', image, dir], { env });
  return { dir, stop: async () => void (await run('umount', [dir], { env })) };
}
