import { abortable } from '../../runtime/abortable.ts';
import type { Ino } from '../../posix/ino.ts';

/**
 * Who has a flock on which inode through this mount, and whose locks are being given back: close(2)
 * returns before the kernel tells of it, and yet the lock is free then for whoever comes next.
 */
export class FlockOwners {
  readonly #owners = new Map<Ino, Set<bigint>>();
  readonly #leaving = new Map<Ino, Set<Promise<void>>>();

  /** The owner got a lock. */
  took(ino: Ino, owner: bigint): void {
    const owners = this.#owners.get(ino) ?? new Set<bigint>();
    this.#owners.set(ino, owners.add(owner));
  }

  /** The owner has given it back. */
  gave(ino: Ino, owner: bigint): void {
    const owners = this.#owners.get(ino);
    owners?.delete(owner);
    if (owners?.size === 0) this.#owners.delete(ino);
  }

  /** Whether somebody else has a lock on this mount, who may be closed already. */
  hasOthers(ino: Ino, owner: bigint): boolean {
    const owners = this.#owners.get(ino);
    return owners !== undefined && owners.size > (owners.has(owner) ? 1 : 0);
  }

  /** The owner is closed. @param released - resolves when its lock is free; never rejects */
  leaves(ino: Ino, owner: bigint, released: Promise<void>): void {
    const leaving = this.#leaving.get(ino) ?? new Set<Promise<void>>();
    this.#leaving.set(ino, leaving);
    const settled = released.then(() => {
      this.gave(ino, owner);
      leaving.delete(settled);
      if (leaving.size === 0 && this.#leaving.get(ino) === leaving) this.#leaving.delete(ino);
    });
    leaving.add(settled);
  }

  /** Resolves when what is being given back is free. @throws the signal's reason when aborted */
  async settled(ino: Ino, signal: AbortSignal): Promise<void> {
    const leaving = this.#leaving.get(ino);
    if (leaving !== undefined) await abortable(Promise.all(leaving), signal);
  }
}
