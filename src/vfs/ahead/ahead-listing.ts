import type { DirEntry } from '../../meta/engine.ts';
import { FileType } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import { AheadDirectory } from './ahead-directory.ts';

interface NamedFile {
  readonly name: string;
  readonly index: number;
}

/** Gathers the files of a directory page by page, and puts them in the order of their names. */
export class AheadListing {
  readonly #files: Ino[] = [];
  /** Each page sorted by itself, so that no turn of the event loop sorts all of them. */
  readonly #runs: NamedFile[] = [];

  /** How many files there are so far. */
  get size(): number {
    return this.#files.length;
  }

  /** Takes a page in the engine's order. */
  add(entries: readonly DirEntry[]): void {
    const run: NamedFile[] = [];
    for (const { name, ino, type } of entries) {
      if (type !== FileType.file) continue;
      // One character for each byte: the order is that of the bytes, as with `ls` in the C locale.
      const { buffer, byteOffset, byteLength } = name;
      const text = Buffer.from(buffer, byteOffset, byteLength).toString('latin1');
      run.push({ name: text, index: this.#files.length });
      this.#files.push(ino);
    }
    for (const file of run.sort(byName)) this.#runs.push(file);
  }

  /** All pages are there. */
  finish(listedAtMs: number): AheadDirectory {
    // Merges the runs, which costs a few comparisons for each name.
    const named = Uint32Array.from(this.#runs.sort(byName), ({ index }) => index);
    return new AheadDirectory(this.#files, named, listedAtMs);
  }
}

function byName(one: NamedFile, other: NamedFile): number {
  return one.name < other.name ? -1 : 1;
}
