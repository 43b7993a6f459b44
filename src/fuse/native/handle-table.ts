import type { Ino } from '../../posix/ino.ts';

/** An open file. */
export interface OpenFile {
  readonly ino: Ino;
  /** The handle of `FuseOperations.open`. */
  readonly fh: bigint;
}

/** Handles are marshalled as signed 32-bit numbers, of which 0 means none. */
const HANDLE_MAX = 0x7fff_ffff;

/** Open files by small numbers, since the package has no room for 64-bit handles. */
export class HandleTable {
  readonly #files = new Map<number, OpenFile>();
  #last = 0;

  /** @returns a number, 1 … 2^31 − 1, until {@link remove} */
  add(file: OpenFile): number {
    do this.#last = this.#last === HANDLE_MAX ? 1 : this.#last + 1;
    while (this.#files.has(this.#last));
    this.#files.set(this.#last, file);
    return this.#last;
  }

  /** The open file, or undefined. */
  get(handle: number): OpenFile | undefined {
    return this.#files.get(handle);
  }

  /** Takes an open file out. */
  remove(handle: number): OpenFile | undefined {
    const file = this.#files.get(handle);
    this.#files.delete(handle);
    return file;
  }

  /** Takes all open files out. */
  removeAll(): OpenFile[] {
    const files = [...this.#files.values()];
    this.#files.clear();
    return files;
  }
}
