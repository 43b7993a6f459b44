import type { LockRequest } from '../../fuse/mutations.ts';
import type { FuseContext } from '../../fuse/operations.ts';
import { LOCK_END_MAX, type LockType } from '../../meta/file-lock.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import { sleep, withDeadline } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import { abortable } from '../../runtime/abortable.ts';
import { isSpecial } from '../virtual-nodes.ts';
import { FlockOwners } from './flock-owners.ts';
import type { WriteParts } from './write-parts.ts';

/** One question to the metadata that is not interrupted. */
const ASK_TIMEOUT_MS = 30_000;
/** What one thread has read from the kernel, the main thread hears of long before. */
const UNTOLD_MS = 10;

/**
 * Locks that all clients of the volume see. A lock is also a promise about content: who gets it sees
 * what was written under it before, so data is committed before a lock is given back, and attributes
 * are asked for again when one was got.
 */
export class FileLocks {
  readonly #parts: WriteParts;
  readonly #logger: Logger;
  /** Inodes that an owner has, or had, fcntl locks on; the kernel does not tell at close(2). */
  readonly #owners = new Map<bigint, Set<Ino>>();
  readonly #flocks = new FlockOwners();
  #dropAttr: (ino: Ino) => void = () => undefined;

  constructor(parts: WriteParts, logger: Logger) {
    this.#parts = parts;
    this.#logger = logger;
  }

  /** @param dropAttr - makes the kernel ask for an inode's attribute again */
  onStaleAttr(dropAttr: (ino: Ino) => void): void {
    this.#dropAttr = dropAttr;
  }

  /** @returns a lock of somebody else that is in the way */
  async getlk(context: FuseContext, ino: Ino, lock: LockRequest): Promise<LockRequest | undefined> {
    const { writer } = this.#parts;
    const { owner } = lock;
    const target = this.#target(ino);
    const found = await writer.findRangeLock(target, { owner, range: lock }, context.signal);
    return found === undefined ? undefined : { ...found, owner };
  }

  /** @throws FsError EAGAIN, EPERM (a virtual file), EINTR */
  async setlk(
    context: FuseContext,
    ino: Ino,
    lock: LockRequest,
    { wait }: { wait: boolean },
  ): Promise<void> {
    const { writer } = this.#parts;
    const { owner, type, start, end, pid } = lock;
    const target = this.#target(ino);
    const range = { type, start, end: end > LOCK_END_MAX ? LOCK_END_MAX : end, pid };
    if (type === 'unlock') await this.#publish(target, context.signal);
    await writer.setRangeLock(target, { owner, range, wait }, context.signal);
    this.#note(owner, target, type);
    await this.#look(target, type);
  }

  /** @throws FsError EAGAIN, EPERM (a virtual file), EINTR */
  async flock(
    context: FuseContext,
    { ino, owner }: { ino: Ino; owner: bigint },
    type: LockType,
    { wait }: { wait: boolean },
  ): Promise<void> {
    const target = this.#target(ino);
    const lock = { owner, type, wait };
    if (type === 'unlock') {
      await this.#publish(target, context.signal);
      await this.#parts.writer.flock(target, lock, context.signal);
      this.#flocks.gave(target, owner);
      return;
    }
    await this.#takeFlock(target, lock, context.signal);
    this.#flocks.took(target, owner);
    await this.#look(target, type);
  }

  /** close(2) gives back all fcntl locks that a process has on the file. */
  async closed(context: FuseContext, ino: Ino, owner: bigint): Promise<void> {
    const target = this.#parts.root.toVolume(ino);
    const inos = this.#owners.get(owner);
    if (inos?.has(target) !== true) return;
    inos.delete(target);
    if (inos.size === 0) this.#owners.delete(owner);
    const range = { type: 'unlock', start: 0n, end: LOCK_END_MAX, pid: context.pid } as const;
    const lock = { owner, range, wait: false };
    const released = this.#release(target, (signal) =>
      this.#parts.writer.setRangeLock(target, lock, signal),
    );
    await abortable(released, context.signal);
  }

  /** The open file description that may have a flock is gone. */
  releaseFlock(ino: Ino, owner: bigint): void {
    const { writer, root } = this.#parts;
    const target = root.toVolume(ino);
    const lock = { owner, type: 'unlock', wait: false } as const;
    const released = this.#release(target, (signal) => writer.flock(target, lock, signal));
    this.#flocks.leaves(target, owner, released);
  }

  async #takeFlock(
    ino: Ino,
    lock: { owner: bigint; type: LockType; wait: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const { writer, clock } = this.#parts;
    await this.#flocks.settled(ino, signal);
    try {
      await writer.flock(ino, lock, signal);
    } catch (error) {
      const isHeld = error instanceof FsError && error.code === 'EAGAIN';
      if (!isHeld || !this.#flocks.hasOthers(ino, lock.owner)) throw error;
      // Another thread may have read from the kernel that the holder is closed, and not told yet.
      await sleep(clock, UNTOLD_MS, signal);
      await this.#flocks.settled(ino, signal);
      await writer.flock(ino, lock, signal);
    }
  }

  /**
   * Gives a lock back that its owner has left behind, also when nobody waits for it any more: what was
   * written under it must not be committed after what the next owner writes. Never rejects.
   */
  async #release(ino: Ino, unlock: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { clock } = this.#parts;
    const fields = { ino: String(ino) };
    try {
      await this.#publish(ino, new AbortController().signal);
    } catch (error) {
      const message = 'a lock is given back before what was written under it is committed';
      this.#logger.error({ ...fields, error: String(error) }, message);
    }
    try {
      const wait = { what: `unlocking inode ${ino}`, timeoutMs: ASK_TIMEOUT_MS };
      await withDeadline(clock, wait, unlock);
    } catch (error) {
      const message = 'a lock could not be given back; it ends with the session';
      this.#logger.error({ ...fields, error: String(error) }, message);
    }
  }

  #target(ino: Ino): Ino {
    const target = this.#parts.root.toVolume(ino);
    if (isSpecial(target)) throw new FsError('EPERM');
    return target;
  }

  #note(owner: bigint, ino: Ino, type: LockType): void {
    if (type === 'unlock') return;
    const inos = this.#owners.get(owner) ?? new Set<Ino>();
    inos.add(ino);
    this.#owners.set(owner, inos);
  }

  /** What was written under a lock is committed before others can get it. A loss is told by close(2). */
  async #publish(ino: Ino, signal: AbortSignal): Promise<void> {
    try {
      await this.#parts.writers.flush(ino, signal);
    } catch (error) {
      if (!(error instanceof FsError)) throw error;
    }
  }

  /**
   * What others wrote under the lock is seen by whoever has it now. That is not interrupted: the lock
   * is there, and EINTR would say that it is not.
   */
  async #look(ino: Ino, type: LockType): Promise<void> {
    if (type === 'unlock') return;
    const { nodes, root, clock } = this.#parts;
    const wait = { what: `attribute of inode ${ino}`, timeoutMs: ASK_TIMEOUT_MS };
    await withDeadline(clock, wait, (signal) => nodes.refresh(ino, signal));
    this.#dropAttr(root.toKernel(ino));
  }
}
