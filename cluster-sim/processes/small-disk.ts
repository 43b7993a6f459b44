import { execFile } from 'node:child_process';
import { mkdir, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const COMMAND_TIMEOUT_MS = 30_000;
const BLOCK_BYTES = 4096;

/** A cache disk of its own size: ext4 in a sparse file. */
export class SmallDisk {
  readonly path: string;
  readonly #image: string;

  private constructor(path: string, image: string) {
    this.path = path;
    this.#image = image;
  }

  /** Needs root. @param path - where it is mounted */
  static async make(path: string, sizeBytes: number): Promise<SmallDisk> {
    const disk = new SmallDisk(path, `${path}.image`);
    await mkdir(path, { recursive: true });
    await writeFile(disk.#image, '');
    await truncate(disk.#image, sizeBytes);
    await command('mkfs.ext4', '-q', '-m', '0', disk.#image);
    await command('mount', '-o', 'loop', disk.#image, path);
    return disk;
  }

  /** Somebody else takes all of its room. @returns gives it back */
  async fill(): Promise<() => Promise<void>> {
    const filler = join(this.path, 'filler');
    const { bavail, bsize } = await statfs(this.path);
    await command('fallocate', '-l', String(Math.max(BLOCK_BYTES, (bavail - 1) * bsize)), filler);
    return () => rm(filler, { force: true });
  }

  /** Whoever uses it must be gone. */
  async remove(): Promise<void> {
    await command('umount', this.path);
    await rm(this.#image, { force: true });
  }
}

async function command(program: string, ...args: readonly string[]): Promise<void> {
  await run(program, args, { timeout: COMMAND_TIMEOUT_MS });
}
