import type { Ino } from '../../posix/ino.ts';
import { OrderFollower } from './order-follower.ts';

/** A directory of so few files is read as a whole, in whatever order. */
const SMALL_FILES = 128;

/** The files of a listed directory: which come next, by the order in which they are read. */
export class AheadDirectory {
  /** In the engine's order, in which programs that do not sort read them. */
  readonly #files: readonly Ino[];
  readonly #indexes = new Map<Ino, number>();
  /** Index by rank among the sorted names, and the other way round. */
  readonly #named: Uint32Array;
  readonly #ranks: Uint32Array;
  readonly #byListing = new OrderFollower();
  readonly #byName = new OrderFollower();
  /** By rank: opened or handed out in this pass. */
  readonly #visited: Uint8Array;
  #sweepRank = 0;
  #sweepLeft: number;
  #opens = 0;
  readonly listedAtMs: number;

  /**
   * @param files - in the engine's order
   * @param named - indexes of `files` in the order of their names
   */
  constructor(files: readonly Ino[], named: Uint32Array, listedAtMs: number) {
    this.listedAtMs = listedAtMs;
    this.#files = files;
    this.#named = named;
    files.forEach((ino, index) => this.#indexes.set(ino, index));
    this.#ranks = new Uint32Array(files.length);
    this.#named.forEach((index, rank) => {
      this.#ranks[index] = rank;
    });
    this.#visited = new Uint8Array(files.length);
    this.#sweepLeft = files.length;
  }

  /** How many files there are. */
  get size(): number {
    return this.#files.length;
  }

  /** A file was opened. @returns false for one that the listing does not have */
  note(ino: Ino): boolean {
    const index = this.#indexes.get(ino);
    if (index === undefined) return false;
    const rank = this.#ranks[index] as number;
    this.#byListing.note(index);
    this.#byName.note(rank);
    if (this.#opens === 0) this.#sweepRank = rank;
    this.#opens += 1;
    this.#visited[rank] = 1;
    return true;
  }

  /** A file had to be fetched by its reader. What was handed out long ago is handed out again. */
  missed(): void {
    if (this.#sweepLeft > 0 || this.#opens < this.size / 2) return;
    this.#visited.fill(0);
    this.#sweepLeft = this.size;
    this.#opens = 0;
  }

  /**
   * The next file that is likely to be opened, each once in a pass.
   *
   * @param mayShuffle - whether files may be handed out without an order: all will stay in memory
   *   until they are opened
   * @returns undefined when there is none for now
   */
  next(mayShuffle: boolean): Ino | undefined {
    const order = this.size > SMALL_FILES ? this.#order() : undefined;
    if (order === undefined) return mayShuffle ? this.#sweep() : undefined;
    const place = order === this.#byName ? this.#placeByName() : this.#byListing.next();
    return place === undefined ? undefined : this.#files[place];
  }

  #order(): OrderFollower | undefined {
    if (this.#byName.isFollowed) return this.#byName;
    return this.#byListing.isFollowed ? this.#byListing : undefined;
  }

  #placeByName(): number | undefined {
    const rank = this.#byName.next();
    return rank === undefined ? undefined : this.#named[rank];
  }

  /** From the first opened file on by name, and round. */
  #sweep(): Ino | undefined {
    while (this.#sweepLeft > 0) {
      const rank = this.#sweepRank;
      this.#sweepLeft -= 1;
      this.#sweepRank = (rank + 1) % this.size;
      if (this.#visited[rank] === 1) continue;
      this.#visited[rank] = 1;
      return this.#files[this.#named[rank] as number];
    }
    return undefined;
  }
}
