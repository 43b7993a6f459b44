import { execFile } from 'node:child_process';
import { mkdir, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const COMMAND_TIMEOUT_MS = 30_000;
/** What is not worth another try to take. */
const LEFT_BYTES_MAX = 64 * 4096;
const FILL_ATTEMPTS = 20;

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
    const fillers: string[] = [];
    for (let attempt = 1; attempt <= FILL_ATTEMPTS; attempt += 1) {
      const { bavail, bsize } = await statfs(this.path);
      const freeBytes = bavail * bsize;
      if (freeBytes <= LEFT_BYTES_MAX) break;
      const filler = join(this.path, `filler-${attempt}`);
      fillers.push(filler);
      // The daemon writes meanwhile, so there may be less room now; what is there still is taken next.
      await command('fallocate', '-l', String(Math.floor(freeBytes * 0.9)), filler).catch(
        () => undefined,
      );
    }
    return async () => {
      for (const filler of fillers) await rm(filler, { force: true });
    };
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
