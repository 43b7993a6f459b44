import { join } from 'node:path';
import type { Random } from '../../runtime/random.ts';
import type { CacheDisk } from '../cache-disk.ts';

/** Makes files on cache disks that have no name, so that nothing is left of them when the process ends. */
export class NamelessFiles {
  readonly #prefix: string;
  readonly #fileMode: number;
  #number = 0;

  constructor(parts: { random: Random; fileMode: number }) {
    this.#fileMode = parts.fileMode;
    // Another daemon may use the same directory.
    this.#prefix = `view-${Buffer.from(parts.random.bytes(8)).toString('hex')}`;
  }

  /** @returns the descriptor of an empty file, for reading and writing. @throws the system's error */
  async make({ io, paths }: CacheDisk): Promise<number> {
    this.#number += 1;
    const path = join(paths.temp, `${this.#prefix}-${this.#number}`);
    const fd = await io.openFile(path, { flags: 'wx+', mode: this.#fileMode });
    try {
      await io.unlink(path);
      return fd;
    } catch (error) {
      await io.close(fd).catch(() => undefined);
      throw error;
    }
  }
}
