import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Clock } from '../../runtime/clock.ts';
import { abortReason } from '../../runtime/deadline.ts';
import type { Random } from '../../runtime/random.ts';
import type { LockType, RangeLock } from '../file-lock.ts';
import type { LockHolder } from './meta-tx.ts';
import type { WriteRunner } from './write-runner.ts';

/** Who waits for a write lock asks more often than who waits to read, as other clients do. */
const FIRST_PAUSE_MS = { write: 1, read: 10 } as const;
const PAUSE_MAX_MS = 20;

/** What a {@link LockKeeper} works with. */
export interface LockKeeperParts {
  readonly runner: WriteRunner;
  readonly sid: () => bigint | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Takes locks, and waits for them by asking again: other clients tell nobody when they give one back.
 * What is given back here wakes those who wait here at once.
 */
export class LockKeeper {
  readonly #parts: LockKeeperParts;
  readonly #waiting = new Map<Ino, Set<() => void>>();

  constructor(parts: LockKeeperParts) {
    this.#parts = parts;
  }

  /** @see LockWriter.flock */
  async flock(
    ino: Ino,
    { owner, type, wait }: { owner: bigint; type: LockType; wait: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const args = { ino, holder: this.#holder(owner), type };
    const attempt = () => this.#parts.runner.run('setFlock', args, { turns: [ino], signal });
    await this.#take({ ino, type, wait, signal }, attempt);
  }

  /** @see LockWriter.setRangeLock */
  async setRange(
    ino: Ino,
    { owner, range, wait }: { owner: bigint; range: RangeLock; wait: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    if (range.start > range.end) throw new FsError('EINVAL');
    const args = { ino, holder: this.#holder(owner), range };
    const attempt = () => this.#parts.runner.run('setRangeLock', args, { turns: [ino], signal });
    await this.#take({ ino, type: range.type, wait, signal }, attempt);
  }

  /** @see LockWriter.findRangeLock */
  findRange(
    ino: Ino,
    { owner, range }: { owner: bigint; range: RangeLock },
    signal: AbortSignal,
  ): Promise<RangeLock | undefined> {
    const args = { ino, holder: this.#holder(owner), range };
    return this.#parts.runner.run('findRangeLock', args, { turns: [ino], signal });
  }

  #holder(owner: bigint): LockHolder {
    const sid = this.#parts.sid();
    if (sid === undefined) throw new FsError('ENOLCK', 'there is no session');
    return { sid, owner };
  }

  async #take(
    lock: { ino: Ino; type: LockType; wait: boolean; signal: AbortSignal },
    attempt: () => Promise<void>,
  ): Promise<void> {
    const { ino, type, wait, signal } = lock;
    if (type === 'unlock') {
      await this.#giveBack(ino, attempt);
      return;
    }
    let pauseMs: number = FIRST_PAUSE_MS[type];
    for (;;) {
      try {
        await attempt();
        // A weaker lock in place of a stronger one may be what others wait for.
        this.#wake(ino);
        return;
      } catch (error) {
        if (!wait || !(error instanceof FsError) || error.code !== 'EAGAIN') throw error;
      }
      await this.#pause(ino, pauseMs, signal);
      pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS);
    }
  }

  async #giveBack(ino: Ino, attempt: () => Promise<void>): Promise<void> {
    try {
      await attempt();
    } catch (error) {
      // The file is gone, and its locks with it.
      if (!(error instanceof FsError) || error.code !== 'ENOENT') throw error;
    }
    this.#wake(ino);
  }

  #wake(ino: Ino): void {
    for (const wake of this.#waiting.get(ino) ?? []) wake();
  }

  #pause(ino: Ino, pauseMs: number, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#parts;
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortReason(signal));
        return;
      }
      const waiters = this.#waiting.get(ino) ?? new Set();
      this.#waiting.set(ino, waiters);
      const end = () => {
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
        waiters.delete(wake);
        if (waiters.size === 0 && this.#waiting.get(ino) === waiters) this.#waiting.delete(ino);
      };
      const wake = () => {
        end();
        resolve();
      };
      const onAbort = () => {
        end();
        reject(abortReason(signal));
      };
      const timer = clock.setTimer(pauseMs + random.below(2), wake);
      waiters.add(wake);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
