import { realpath } from 'node:fs/promises';
import type { Attr } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { CodedError } from '../../runtime/coded-error.ts';
import { sleep, withDeadline } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { FuseDriver } from '../driver.ts';
import type { FuseOperations } from '../operations.ts';
import { type FuseNativeMount, loadFuseNative } from './fuse-native-package.ts';
import { InodeTable } from './inode-table.ts';
import { mayAllowOther, mountArgument, OPTIONS_BYTES_MAX } from './mount-options.ts';
import { mountedDevice, unmount } from './mounted.ts';
import { prepareMount } from './native-mount.ts';
import { NativeOperations } from './native-operations.ts';
import { PathResolver } from './path-resolver.ts';
import { type Caller, RequestAnswerer } from './request-answerer.ts';

/** The mount could not be made (`mount`), or the mountpoint cannot be given to the package (`path`). */
export class NativeMountError extends CodedError<'mount' | 'path'> {}

/** How the driver mounts. */
export interface NativeDriverOptions {
  /** An existing folder on the file system of its parent. */
  readonly mountpoint: string;
  /** What `df` shows, e.g. `JuiceFS:volume`. */
  readonly sourceName: string;
  /** The user who runs the daemon: all requests are taken to come from there. */
  readonly caller: Caller;
  /** Let other users in; unless told, whenever this user may. */
  readonly allowOther?: boolean;
  /** How long the kernel believes a name; it cannot be told earlier. 1,000 ms unless told. */
  readonly entryTimeoutMs?: number;
  /** How long the kernel believes an attribute; 1,000 ms unless told. */
  readonly attrTimeoutMs?: number;
  /** Behind it a request is answered with EIO; 5 minutes unless told. */
  readonly requestTimeoutMs?: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

const CACHE_TIMEOUT_MS = 1000;
/** A net below the operations, which have deadlines of their own. */
const REQUEST_TIMEOUT_MS = 300_000;
const MOUNT_TIMEOUT_MS = 15_000;
const UNMOUNT_TIMEOUT_MS = 5000;
/** How often is looked whether the user has unmounted: the package does not tell. */
const WATCH_INTERVAL_MS = 500;
const GONE_INTERVAL_MS = 20;
/** The package copies the mountpoint into 1,024 bytes and cuts what is longer. */
const MOUNTPOINT_BYTES_MAX = 1023;
/** What group and others may do; hidden where an access control list says more. */
const SHARED_BITS = 0o077;

/**
 * Serves {@link FuseOperations} through the package fuse-native (libfuse 2), for users without
 * root and for macOS. It must run on the process' main thread.
 *
 * Limits of the package: names, link targets and attribute names must be UTF-8 (others fail with
 * EILSEQ and are listed with U+FFFD); inode numbers have 32 bits, times milliseconds; the caller of
 * a request is unknown; the kernel cannot be told that something changed, so it believes names and
 * attributes for the time-outs in the options whatever the operations answer; `keepCache`,
 * `directIo` and `cacheDir` of an open have no effect; libfuse 2 asks for 128 KiB at most; a
 * listing is held in memory as a whole; fstat of an open file goes by its path, so it fails when
 * the name is gone (reading goes on).
 */
export class NativeDriver implements FuseDriver {
  readonly name = 'fuse-native';
  readonly extents = undefined;
  readonly backing = undefined;
  readonly closed: Promise<void>;
  readonly #operations: FuseOperations;
  readonly #options: NativeDriverOptions;
  readonly #inodes: InodeTable;
  readonly #paths: PathResolver;
  readonly #ending = new AbortController();
  #resolveClosed: () => void = () => undefined;
  #mount: FuseNativeMount | undefined;
  #byPath: NativeOperations | undefined;
  #mountpoint = '';
  #device: string | undefined;
  #watch: Timer | undefined;

  constructor(operations: FuseOperations, options: NativeDriverOptions) {
    this.#operations = operations;
    this.#options = options;
    this.#inodes = new InodeTable(operations, options.clock);
    this.#paths = new PathResolver({ operations, inodes: this.#inodes, clock: options.clock });
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  /** @throws FuseNativeError, NativeMountError, DeadlineError; the signal's reason when aborted */
  async start(signal?: AbortSignal): Promise<void> {
    const { clock, logger, sourceName } = this.#options;
    const mount = await this.#prepare();
    const before = await mountedDevice(this.#mountpoint);
    const what = `mount at ${this.#mountpoint}`;
    try {
      await withDeadline(clock, { what, timeoutMs: MOUNT_TIMEOUT_MS, signal }, () => opened(mount));
      this.#mount = mount;
      this.#device = await mountedDevice(this.#mountpoint);
    } catch (cause) {
      this.#ending.abort(cause);
      const left = await mountedDevice(this.#mountpoint).catch(() => before);
      if (left !== before) await this.#unmountLogged();
      // Not awaited: when INIT was never answered, the package never calls back.
      void closedMount(mount);
      this.#resolveClosed();
      throw cause;
    }
    logger.info({ mountpoint: this.#mountpoint, sourceName }, 'mounted by fuse-native');
    this.#watchMount();
  }

  async stop(): Promise<void> {
    if (this.#mount !== undefined && (await this.#isMounted())) {
      await this.#unmountLogged();
      await this.#waitUntilGone();
    }
    await this.#end();
  }

  /** libfuse has time-outs of its own. */
  get takesBack(): boolean {
    return false;
  }

  invalidateInode(ino: Ino): void {
    this.#inodes.invalidate(ino);
  }

  invalidateEntry(parent: Ino, name: Uint8Array): void {
    this.#paths.invalidate(parent, Buffer.from(name).toString('utf8'));
  }

  async #prepare(): Promise<FuseNativeMount> {
    const { caller, clock, logger, metrics, requestTimeoutMs = REQUEST_TIMEOUT_MS } = this.#options;
    const pack = loadFuseNative();
    this.#mountpoint = await realpath(this.#options.mountpoint);
    const allowOther = this.#options.allowOther ?? (await mayAllowOther(caller.uid));
    const argument = this.#argument(allowOther);
    const operations = new NativeOperations({
      operations: this.#operations,
      inodes: this.#inodes,
      paths: this.#paths,
      shown: allowOther ? withoutSharedAcl : (attr) => attr,
      onUnspeakable: (path) =>
        logger.warn({ path }, 'names that are not UTF-8 cannot be opened through fuse-native'),
    });
    this.#byPath = operations;
    const answerer = new RequestAnswerer({
      ...{ clock, logger, metrics, timeoutMs: requestTimeoutMs, signal: this.#ending.signal },
      // With allow_other the kernel alone decides, by mode bits: nobody else knows who asks.
      caller: allowOther ? { ...caller, uid: 0, gid: 0 } : caller,
    });
    return prepareMount(pack, { mountpoint: this.#mountpoint, argument, operations, answerer });
  }

  #argument(allowOther: boolean): string {
    const argument = mountArgument({
      sourceName: this.#options.sourceName,
      allowOther,
      entryTimeoutMs: this.#options.entryTimeoutMs ?? CACHE_TIMEOUT_MS,
      attrTimeoutMs: this.#options.attrTimeoutMs ?? CACHE_TIMEOUT_MS,
    });
    if (Buffer.byteLength(this.#mountpoint) > MOUNTPOINT_BYTES_MAX) {
      throw new NativeMountError('path', `the mountpoint is too long: ${this.#mountpoint}`);
    }
    if (Buffer.byteLength(argument) > OPTIONS_BYTES_MAX) {
      throw new NativeMountError('path', `the mount options are too long: ${argument}`);
    }
    return argument;
  }

  #watchMount(): void {
    this.#watch = this.#options.clock.setTimer(WATCH_INTERVAL_MS, () => {
      void this.#isMounted().then((mounted) => (mounted ? this.#watchMount() : this.#end()));
    });
  }

  async #isMounted(): Promise<boolean> {
    try {
      return (await mountedDevice(this.#mountpoint)) === this.#device;
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'cannot tell whether the mount is still there');
      return true;
    }
  }

  async #unmountLogged(): Promise<void> {
    const { logger } = this.#options;
    try {
      await unmount(this.#mountpoint, false);
    } catch (error) {
      logger.warn({ err: error }, 'the mount is in use: it ends with its last user');
      await unmount(this.#mountpoint, true).catch((failure: unknown) => {
        logger.error({ err: failure }, 'cannot unmount');
      });
    }
  }

  async #waitUntilGone(): Promise<void> {
    const { clock } = this.#options;
    const deadlineMs = clock.nowMs() + UNMOUNT_TIMEOUT_MS;
    while ((await this.#isMounted()) && clock.nowMs() < deadlineMs) {
      await sleep(clock, GONE_INTERVAL_MS);
    }
  }

  async #end(): Promise<void> {
    this.#watch?.cancel();
    const mount = this.#mount;
    this.#mount = undefined;
    this.#ending.abort(new Error('the mount has ended'));
    if (mount !== undefined) {
      await closedMount(mount);
      this.#byPath?.dispose();
      this.#options.logger.info({ mountpoint: this.#mountpoint }, 'unmounted');
    }
    this.#resolveClosed();
  }
}

/** Mode bits of the group stand for the list's mask there, so they would let too many in. */
function withoutSharedAcl(attr: Attr): Attr {
  return attr.accessAclId === 0 ? attr : { ...attr, mode: attr.mode & ~SHARED_BITS };
}

function opened(mount: FuseNativeMount): Promise<void> {
  return new Promise((resolve, reject) => {
    mount.mount((cause) => {
      if (cause === null || cause === undefined) return resolve();
      const message = `cannot mount at ${mount.mnt}: ${cause.message} (libfuse may say more on standard error)`;
      reject(new NativeMountError('mount', message, { cause }));
    });
  });
}

function closedMount(mount: FuseNativeMount): Promise<void> {
  return new Promise((resolve) => mount.unmount(() => resolve()));
}
