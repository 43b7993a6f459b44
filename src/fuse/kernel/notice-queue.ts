import { Worker } from 'node:worker_threads';
import { Errno } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Counter, Metrics } from '../../runtime/metrics.ts';
import { encodeInvalidateEntry, encodeInvalidateInode } from '../wire/notices.ts';
import { workerUrl } from './worker-url.ts';

/** Notices that wait at most. When more come the kernel relies on the time-outs of what it knows. */
const PENDING_MAX = 65_536;
const BATCH_MAX = 64;
/** @see asm-generic/errno.h */
const ENOTCONN = 107;

/**
 * Sends invalidations to the kernel through a thread of their own, in order. Equal ones that wait
 * are sent once.
 */
export class NoticeQueue {
  readonly #logger: Logger;
  readonly #sent: Counter;
  readonly #dropped: Counter;
  readonly #pending = new Map<string, Uint8Array>();
  #worker: Worker | undefined;
  #isBusy = false;

  constructor(options: { logger: Logger; metrics: Metrics }) {
    this.#logger = options.logger;
    const counter = (name: string, help: string) => options.metrics.counter({ name, help });
    this.#sent = counter('fuse_invalidations_total', 'invalidations sent to the kernel');
    this.#dropped = counter('fuse_invalidations_dropped_total', 'invalidations that were not sent');
  }

  /** @param onDeath - called when the thread ends before {@link stop} */
  start(fd: number, onDeath: (error: Error) => void): void {
    const worker = new Worker(workerUrl('notice-worker', import.meta.url), { workerData: { fd } });
    this.#worker = worker;
    worker.on('message', (errnos: readonly number[]) => this.#onDone(errnos));
    worker.on('error', onDeath);
    worker.on('exit', (code) => {
      if (this.#worker === worker) onDeath(new Error(`exit code ${code}`));
    });
  }

  /** Nothing is sent any more. The thread may still wait in a write until the connection ends. */
  async stop(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    this.#pending.clear();
    await worker?.terminate();
  }

  invalidateInode(ino: Ino, offset: number, lengthBytes: number): void {
    const key = `i${ino}:${offset}:${lengthBytes}`;
    this.#add(key, encodeInvalidateInode(ino, offset, lengthBytes));
  }

  invalidateEntry(parent: Ino, name: Uint8Array): void {
    const key = `e${parent}:${Buffer.from(name).toString('latin1')}`;
    this.#add(key, encodeInvalidateEntry(parent, name));
  }

  #add(key: string, notice: Uint8Array): void {
    if (this.#worker === undefined) return;
    if (this.#pending.size >= PENDING_MAX && !this.#pending.has(key)) {
      this.#dropped.add();
      this.#logger.error({ pending: PENDING_MAX }, 'too many invalidations wait, one was dropped');
      return;
    }
    this.#pending.set(key, notice);
    this.#sendBatch();
  }

  #sendBatch(): void {
    if (this.#isBusy || this.#pending.size === 0 || this.#worker === undefined) return;
    const batch: Uint8Array[] = [];
    for (const [key, notice] of this.#pending) {
      if (batch.length === BATCH_MAX) break;
      batch.push(notice);
      this.#pending.delete(key);
    }
    this.#isBusy = true;
    this.#sent.add(batch.length);
    this.#worker.postMessage(batch);
  }

  #onDone(errnos: readonly number[]): void {
    this.#isBusy = false;
    for (const errno of errnos) {
      // The kernel does not know the inode or the name, or the mount has ended.
      if (errno === Errno.ENOENT || errno === Errno.ENODEV || errno === ENOTCONN) continue;
      this.#dropped.add();
      this.#logger.error({ errno }, 'the kernel refused an invalidation');
    }
    this.#sendBatch();
  }
}
