import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { Errno } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Clock } from '../../runtime/clock.ts';
import { LogThrottle } from '../../runtime/log-throttle.ts';
import type { LogFields, Logger } from '../../runtime/logger.ts';
import type { Counter, Metrics } from '../../runtime/metrics.ts';
import { encodeInvalidateEntry, encodeInvalidateInode } from '../wire/notices.ts';
import { errnoOf } from './errno-of.ts';
import { workerUrl } from '../../runtime/worker-url.ts';

/** Notices that wait at most. When more come the kernel relies on the time-outs of what it knows. */
const PENDING_MAX = 65_536;
const BATCH_MAX = 64;
/** Between two log lines about the same. */
const LINE_EVERY_MS = 5_000;
/** @see asm-generic/errno.h */
const ENOTCONN = 107;

/**
 * Sends invalidations to the kernel. Those that drop pages or names may have to wait there, so they
 * go through a thread of their own, in order; equal ones that wait are sent once. Those of attributes
 * alone wait for nobody: the kernel has them before a reply that is sent later.
 */
export class NoticeQueue {
  readonly #logger: Logger;
  readonly #throttle: LogThrottle;
  readonly #sent: Counter;
  readonly #dropped: Counter;
  readonly #pending = new Map<string, Uint8Array>();
  #worker: Worker | undefined;
  #fd: number | undefined;
  #isBusy = false;

  constructor(options: { clock: Clock; logger: Logger; metrics: Metrics }) {
    this.#logger = options.logger;
    this.#throttle = new LogThrottle(options.clock, LINE_EVERY_MS);
    const counter = (name: string, help: string) => options.metrics.counter({ name, help });
    this.#sent = counter('fuse_invalidations_total', 'invalidations sent to the kernel');
    this.#dropped = counter('fuse_invalidations_dropped_total', 'invalidations that were not sent');
  }

  /** @param onDeath - called when the thread ends before {@link stop} */
  start(fd: number, onDeath: (error: Error) => void): void {
    const worker = new Worker(workerUrl('notice-worker', import.meta.url), { workerData: { fd } });
    this.#worker = worker;
    this.#fd = fd;
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
    this.#fd = undefined;
    this.#pending.clear();
    await worker?.terminate();
  }

  invalidateInode(ino: Ino, offset: number, lengthBytes: number): void {
    const notice = encodeInvalidateInode(ino, offset, lengthBytes);
    if (offset < 0) this.#sendNow(notice);
    else this.#add(`i${ino}:${offset}:${lengthBytes}`, notice);
  }

  invalidateEntry(parent: Ino, name: Uint8Array): void {
    const key = `e${parent}:${Buffer.from(name).toString('latin1')}`;
    this.#add(key, encodeInvalidateEntry(parent, name));
  }

  /** The open that found an attribute stale must not be answered before the kernel has dropped it. */
  #sendNow(notice: Uint8Array): void {
    if (this.#fd === undefined) return;
    this.#sent.add();
    try {
      writeSync(this.#fd, notice);
    } catch (error) {
      this.#onRefusal(errnoOf(error));
    }
  }

  #add(key: string, notice: Uint8Array): void {
    if (this.#worker === undefined) return;
    if (this.#pending.size >= PENDING_MAX && !this.#pending.has(key)) {
      this.#drop('too many invalidations wait, one was dropped', { pending: PENDING_MAX });
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
    for (const errno of errnos) this.#onRefusal(errno);
    this.#sendBatch();
  }

  #onRefusal(errno: number): void {
    // The kernel does not know the inode or the name, or the mount has ended.
    if (errno === Errno.ENOENT || errno === Errno.ENODEV || errno === ENOTCONN) return;
    this.#drop('the kernel refused an invalidation', { errno });
  }

  #drop(what: string, fields: LogFields): void {
    this.#dropped.add();
    const leftOut = this.#throttle.admit(what);
    if (leftOut !== undefined) this.#logger.error({ ...fields, leftOut }, what);
  }
}
