import assert from 'node:assert/strict';
import type { Ino } from '../../posix/ino.ts';
import { withDeadline } from '../../runtime/deadline.ts';
import type { BackingFiles, ExtentSink, FuseDriver } from '../driver.ts';
import { ExtentMap } from '../extent-map.ts';
import { FuseConnection } from './connection.ts';
import { DeviceError } from './device-error.ts';
import type { KernelDriverOptions } from './kernel-driver-options.ts';
import { LiveMount, READ_AHEAD_KIB } from './live-mount.ts';
import { mountFuse } from './mount.ts';
import { mountedAt } from './mount-table.ts';
import { prepareMountpoint } from './mountpoint.ts';
import { Unmounter } from './unmounter.ts';

const EXTENT_CAPACITY = 262_144;
/** How long requests may go on after a lazy unmount, until the connection is aborted. */
const DRAIN_TIMEOUT_MS = 2000;
/** Threads end at once when the connection has; this is for a kernel that misbehaves. */
const END_TIMEOUT_MS = 5000;

/** A mount through /dev/fuse, served by worker threads. Works once: after `stop` make a new one. */
export class KernelDriver implements FuseDriver {
  readonly name = 'kernel';
  readonly closed: Promise<void>;
  readonly extents: ExtentSink;
  readonly #options: KernelDriverOptions;
  readonly #map: ExtentMap;
  readonly #unmounter: Unmounter;
  readonly #closing = Promise.withResolvers<void>();
  /** Like {@link closed}, but resolves after the death of a thread, too. */
  readonly #gone = Promise.withResolvers<void>();
  readonly #exitListener = () => this.#onExit();
  #mountpoint = '';
  #mount: LiveMount | undefined;
  #connection: FuseConnection | undefined;
  #death: Error | undefined;
  /** The connection was ended: threads that are left are about to end. */
  #isCut = false;
  #stopping: Promise<void> | undefined;

  constructor(options: KernelDriverOptions) {
    this.#options = options;
    this.#map = ExtentMap.create(options.unitBytes, options.extentCapacity ?? EXTENT_CAPACITY);
    this.extents = this.#map;
    const { libc, clock } = options;
    this.#unmounter = new Unmounter({ libc, isRoot: userId() === 0, clock });
    this.closed = this.#closing.promise;
    // Not everybody waits for it, and onFatal has the error too.
    this.closed.catch(() => undefined);
  }

  /**
   * Mounts and serves.
   *
   * @throws MountError, DeviceError
   */
  async start(): Promise<void> {
    assert(this.#mount === undefined, 'a driver is started once');
    const { clock, logger, mountpoint } = this.#options;
    const means = { unmounter: this.#unmounter, clock, logger };
    this.#mountpoint = await prepareMountpoint(mountpoint, means);
    const fd = await this.#mountDevice();
    const mount = new LiveMount(fd, this.#options);
    this.#mount = mount;
    process.once('exit', this.#exitListener);
    try {
      await this.#serve(mount);
    } catch (error) {
      if (!mount.isServing) await this.#giveUp(mount);
      await this.stop();
      throw error;
    }
    logger.info({ mountpoint: this.#mountpoint }, 'mounted');
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  get backing(): BackingFiles | undefined {
    return this.#mount?.backing;
  }

  get takesBack(): boolean {
    return this.#mount?.takesBack ?? false;
  }

  invalidateInode(ino: Ino, offset: number, lengthBytes: number): void {
    this.#mount?.notices.invalidateInode(ino, offset, lengthBytes);
  }

  invalidateEntry(parent: Ino, name: Uint8Array): void {
    this.#mount?.notices.invalidateEntry(parent, name);
  }

  #mountDevice(): Promise<number> {
    const { fsname, libc, clock, allowOther } = this.#options;
    const uid = userId();
    return mountFuse({
      mountpoint: this.#mountpoint,
      fsname,
      allowOther: allowOther ?? uid === 0,
      uid,
      gid: process.getegid?.() ?? 0,
      libc,
      clock,
    });
  }

  async #serve(mount: LiveMount): Promise<void> {
    mount.handshake();
    const entry = mountedAt(this.#mountpoint);
    if (entry === undefined) throw new DeviceError('device-failed', 'the mount has vanished');
    this.#connection = new FuseConnection(entry.device, this.#mountpoint);
    if (!(await this.#connection.setReadAhead(READ_AHEAD_KIB))) {
      const fields = { kibibytes: READ_AHEAD_KIB };
      this.#options.logger.debug(fields, 'the read-ahead of the mount stays at its default');
    }
    mount.startThreads(this.#map, (error) => void this.#onDeath(error));
    void mount.ended.then(() => this.#onEnded(mount));
    await mount.ready();
    if (this.#death !== undefined) throw this.#death;
  }

  /** All threads have ended: the mount is gone, whoever unmounted it, or was aborted. */
  async #onEnded(mount: LiveMount): Promise<void> {
    this.#mount = undefined;
    process.removeListener('exit', this.#exitListener);
    const fields = { mountpoint: this.#mountpoint };
    try {
      await mount.close();
      this.#options.logger.info(fields, 'unmounted');
    } catch (error) {
      this.#options.logger.error({ ...fields, error }, 'closing the device failed');
    }
    this.#gone.resolve();
    this.#closing.resolve();
  }

  /** Nothing reads the device yet, so nothing will notice that the mount has gone. */
  async #giveUp(mount: LiveMount): Promise<void> {
    await this.#unmounter.unmount(this.#mountpoint, 'lazily');
    await this.#onEnded(mount);
  }

  async #stop(): Promise<void> {
    const mount = this.#mount;
    if (mount === undefined) return;
    const { clock, logger } = this.#options;
    const mountpoint = this.#mountpoint;
    const isMounted = this.#connection?.isMounted() ?? false;
    if (!isMounted || !(await this.#unmounter.unmount(mountpoint, 'plainly'))) {
      // Somebody has files open there.
      await mount.drain(DRAIN_TIMEOUT_MS);
      mount.endSession();
      await this.#cut();
    }
    try {
      const wait = { what: `the end of ${mountpoint}`, timeoutMs: END_TIMEOUT_MS };
      await withDeadline(clock, wait, () => this.#gone.promise);
    } catch (error) {
      logger.error({ error, mountpoint }, 'the mount did not end in an orderly way');
    }
  }

  async #onDeath(error: Error): Promise<void> {
    if (this.#death !== undefined) return;
    this.#death = error;
    this.#options.logger.error({ error }, 'a thread has died, the mount ends');
    await this.#cut();
    this.#closing.reject(error);
    this.#options.onFatal(error);
  }

  /** Ends the connection although it is in use. */
  async #cut(): Promise<void> {
    if (this.#connection?.abort() === true) this.#isCut = true;
    if (this.#connection?.isMounted() !== true) return;
    const isUnmounted = await this.#unmounter.unmount(this.#mountpoint, 'forcibly');
    if (isUnmounted && this.#unmounter.canForce) this.#isCut = true;
  }

  /**
   * {@link #cut} without waiting, so that no reader waits for an answer that never comes and no
   * thread of ours stays in read(2): a process with such threads cannot exit.
   *
   * @returns whether the connection was cut
   */
  #cutNow(): boolean {
    if (this.#connection?.abort() === true) this.#isCut = true;
    const isMounted = this.#connection?.isMounted() ?? false;
    const isUnmounted = isMounted && this.#unmounter.unmountNow(this.#mountpoint, 'forcibly');
    if (isUnmounted && this.#unmounter.canForce) this.#isCut = true;
    return this.#isCut;
  }

  /** Of the process, with the mount still there. */
  #onExit(): void {
    if (this.#mount === undefined || this.#cutNow()) return;
    this.#options.logger.error({}, 'the FUSE connection cannot be cut, the process kills itself');
    process.kill(process.pid, 'SIGKILL');
  }
}

function userId(): number {
  return process.geteuid?.() ?? 0;
}
