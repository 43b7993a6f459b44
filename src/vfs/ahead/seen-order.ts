import type { Ino } from '../../posix/ino.ts';
import { OrderFollower } from './order-follower.ts';

/** Opens that are remembered; about 100 bytes each. */
const OPENS_MAX = 65_536;

/**
 * The order in which files were opened, to be recognised when a program goes the same way again: an
 * epoch with a fixed seed, the imports of a program.
 */
export class SeenOrder {
  readonly #follower = new OrderFollower();
  readonly #opened: Ino[] = [];
  /** Where each file was opened last, counted from the first open on. */
  readonly #places = new Map<Ino, number>();
  #count = 0;

  /** Whether files are opened in the order of an earlier time. */
  get isFollowed(): boolean {
    return this.#follower.isFollowed;
  }

  /** A file was opened. */
  note(ino: Ino): void {
    const before = this.#places.get(ino);
    const isOld = before !== undefined && before < this.#count - 1;
    if (isOld && before > this.#count - OPENS_MAX) this.#follower.note(before);
    const slot = this.#count % OPENS_MAX;
    const oldest = this.#opened[slot];
    if (oldest !== undefined && this.#places.get(oldest) === this.#count - OPENS_MAX) {
      this.#places.delete(oldest);
    }
    this.#opened[slot] = ino;
    this.#places.set(ino, this.#count);
    this.#count += 1;
  }

  /** The next file that will be opened if the order goes on, each once. */
  next(): Ino | undefined {
    if (!this.isFollowed) return undefined;
    for (;;) {
      const place = this.#follower.next();
      if (place === undefined || place >= this.#count) return undefined;
      if (place > this.#count - OPENS_MAX) return this.#opened[place % OPENS_MAX];
    }
  }
}
