import { Redis } from 'ioredis';
import type { RedisClient } from './redis-connect.ts';

/**
 * Lets commands that are issued in one turn of the event loop leave in one system call: more than
 * twice the look-ups per second at 32 callers, and nothing lost at one.
 */
export class WriteBatch {
  #isOpen = false;

  /** Call before issuing commands. */
  join(client: RedisClient): void {
    // The members of a cluster have connections of their own, which the library hides.
    if (this.#isOpen || !(client instanceof Redis)) return;
    const { stream } = client;
    this.#isOpen = true;
    stream.cork();
    process.nextTick(() => {
      this.#isOpen = false;
      stream.uncork();
    });
  }
}
