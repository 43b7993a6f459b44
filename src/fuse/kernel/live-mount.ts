import { closeSync, readSync } from 'node:fs';
import { Errno } from '../../posix/errno.ts';
import { sleep, withDeadline } from '../../runtime/deadline.ts';
import type { ExtentMap } from '../extent-map.ts';
import type { BackingFiles } from '../driver.ts';
import { InitFlag, type InitWishes } from '../wire/init.ts';
import { DeviceBackingFiles } from './backing-files.ts';
import { DeviceChannel } from './device-channel.ts';
import { DeviceError } from './device-error.ts';
import { DeviceWorkers } from './device-workers.ts';
import { errnoOf } from './errno-of.ts';
import type { KernelDriverOptions } from './kernel-driver-options.ts';
import { workerCount } from './kernel-driver-options.ts';
import { NoticeQueue } from './notice-queue.ts';
import { ReadPublisher } from './read-publisher.ts';
import { FuseSession } from './session.ts';
import { SessionMetrics } from './session-metrics.ts';
import { FRAME_BYTES, REQUEST_BYTES_MAX, WRITE_BYTES_MAX } from './worker-device.ts';
import { WorkerStats } from './worker-stats.ts';

const MAX_BACKGROUND = 64;
const DRAIN_POLL_MS = 20;
/** Loading a thread takes 50 ms; this is for a machine under extreme load. */
const READY_TIMEOUT_MS = 30_000;

/** How far the kernel may read ahead. */
export const READ_AHEAD_KIB = 1024;

/** A device that is mounted: the session and the threads that serve it. */
export class LiveMount {
  readonly notices: NoticeQueue;
  readonly #fd: number;
  readonly #options: KernelDriverOptions;
  readonly #metrics: SessionMetrics;
  readonly #channel: DeviceChannel;
  readonly #session: FuseSession;
  #workers: DeviceWorkers | undefined;
  #publisher: ReadPublisher | undefined;
  #backing: DeviceBackingFiles | undefined;

  constructor(fd: number, options: KernelDriverOptions) {
    this.#fd = fd;
    this.#options = options;
    this.#metrics = new SessionMetrics(options.metrics);
    this.#channel = new DeviceChannel(fd);
    this.notices = new NoticeQueue(options);
    const { operations, clock, logger } = options;
    this.#session = new FuseSession({
      operations,
      channel: this.#channel,
      wishes: wishesOf(options),
      clock,
      logger,
      metrics: this.#metrics,
    });
  }

  /**
   * Answers the INIT request, which the kernel has ready as soon as it has mounted.
   *
   * @throws DeviceError when the kernel and this codec have no protocol in common
   */
  handshake(): void {
    const frame = new Uint8Array(FRAME_BYTES);
    this.#session.handle(frame.slice(0, readRequest(this.#fd, frame)));
    if (this.#session.init === undefined) {
      const message = "the kernel's FUSE protocol is older than 7.31 (Linux 5.4)";
      throw new DeviceError('protocol', message);
    }
  }

  /**
   * Starts the threads.
   *
   * @param onDeath - called when a thread ends although the mount has not
   */
  startThreads(extents: ExtentMap, onDeath: (error: Error) => void): void {
    const { leases, memory, libc, clock, shortcut } = this.#options;
    const count = workerCount(this.#options);
    const takeBack = (frame: Uint8Array) => {
      // An open is decided about by what else is open.
      this.#workers?.takeClosed();
      this.#session.handle(frame);
    };
    const plan = shortcut?.start({ fd: this.#fd, workers: count, takeBack, onDeath });
    const stats = WorkerStats.create(count);
    const also = () => this.#workers?.takeClosed();
    this.#publisher = new ReadPublisher({ stats, metrics: this.#metrics, clock, also });
    this.#publisher.start();
    this.#workers = new DeviceWorkers({
      count,
      data: {
        fd: this.#fd,
        extents: extents.shared,
        leases: leases.shared,
        stats: stats.shared,
        memory: memory?.buffer,
        // Memory that has no address can only be written through node:fs.
        useLibc: libc !== undefined && memory?.buffer === undefined,
        shortcut: plan,
        isReadOnly: this.#options.operations.mutations === undefined,
      },
      onFrame: (frame) => this.#session.handle(frame),
      onTouched: ({ fh, offset }) => this.#onTouched(fh, offset),
      onDeath,
    });
    this.notices.start(this.#fd, onDeath);
  }

  /** Resolves when the threads read the device, or have ended. @throws DeadlineError */
  async ready(): Promise<void> {
    const wait = { what: 'starting threads', timeoutMs: READY_TIMEOUT_MS };
    await withDeadline(this.#options.clock, wait, () => this.#workers?.ready ?? Promise.resolve());
  }

  /** Undefined where the kernel reads nothing by itself, and when it was not asked to. */
  get backing(): BackingFiles | undefined {
    const { libc } = this.#options;
    const flags = this.#session.init?.flags ?? 0n;
    if (libc === undefined || (flags & InitFlag.passthrough) === 0n) return undefined;
    this.#backing ??= new DeviceBackingFiles(libc, this.#fd);
    return this.#backing;
  }

  /** @see FuseDriver.takesBack */
  get takesBack(): boolean {
    const flags = this.#session.init?.flags ?? 0n;
    return (flags & InitFlag.hasExpireOnly) !== 0n;
  }

  /** Whether threads were started. */
  get isServing(): boolean {
    return this.#workers !== undefined;
  }

  /** Resolves when no thread reads the device any more. */
  get ended(): Promise<void> {
    return this.#workers?.ended ?? Promise.resolve();
  }

  /** Waits until no request is under way, for `timeoutMs` at most. */
  async drain(timeoutMs: number): Promise<void> {
    const { clock } = this.#options;
    const endMs = clock.nowMs() + timeoutMs;
    while (this.#session.inFlight > 0 && clock.nowMs() < endMs) await sleep(clock, DRAIN_POLL_MS);
  }

  /** Aborts what the main thread works on. */
  endSession(): void {
    this.#session.end();
  }

  /** Closes the device. The threads must have ended. */
  async close(): Promise<void> {
    this.#backing?.end();
    this.#publisher?.stop();
    this.#session.end();
    await this.notices.stop();
    await this.#options.shortcut?.stop();
    this.#channel.close();
    closeSync(this.#fd);
  }

  #onTouched(fh: bigint, offset: number): void {
    try {
      this.#options.operations.touched(fh, offset);
    } catch (error) {
      this.#metrics.bugs.add();
      this.#options.logger.error({ error }, 'read-ahead met a bug');
    }
  }
}

function wishesOf({ acl, operations, passthrough, libc }: KernelDriverOptions): InitWishes {
  return {
    acl,
    locks: operations.mutations !== undefined,
    passthrough: passthrough === true && libc !== undefined,
    maxRequestBytes: REQUEST_BYTES_MAX,
    maxWriteBytes: WRITE_BYTES_MAX,
    maxReadaheadBytes: READ_AHEAD_KIB * 1024,
    maxBackground: MAX_BACKGROUND,
  };
}

function readRequest(fd: number, into: Uint8Array): number {
  for (;;) {
    try {
      return readSync(fd, into);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === Errno.EINTR || errno === Errno.EAGAIN || errno === Errno.ENOENT) continue;
      const message = `the FUSE device cannot be read (errno ${errno})`;
      throw new DeviceError('device-failed', message, { cause: error });
    }
  }
}
