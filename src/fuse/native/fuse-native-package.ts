import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { CodedError } from '../../runtime/coded-error.ts';

/**
 * Why the package `fuse-native` cannot be used: it is `missing` (an optional dependency that was
 * not installed), its native part does not `load` (no prebuilt binary for this platform, or no
 * libfuse 2), or it is a version whose inner methods differ (`changed`).
 */
export type FuseNativeProblem = 'missing' | 'load' | 'changed';

/** The package `fuse-native` cannot be used here. */
export class FuseNativeError extends CodedError<FuseNativeProblem> {}

/** Answers a callback: 0 or a negative error number, and a value. */
export type Answer<Value = void> = (error: number, value?: Value) => void;

/** A file's attribute as the package marshals it. */
export interface NativeStat {
  /** Format and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly nlink: number;
  /** Marshalled in 32 bits. */
  readonly ino: number;
  readonly rdev: number;
  readonly blksize: number;
  /** Units of 512 bytes. */
  readonly blocks: number;
  /** Milliseconds since 1970, marshalled as an unsigned 64-bit number. */
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
}

/** Numbers of a file system; each is marshalled in 32 bits. */
export interface NativeStatfs {
  readonly bsize: number;
  readonly frsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
  readonly favail: number;
  readonly namemax: number;
}

/** Operations that the package calls by path. What is missing is answered with ENOSYS by libfuse. */
export interface NativeHandlers {
  getattr(path: string, answer: Answer<NativeStat>): void;
  readdir(
    path: string,
    answer: (error: number, names?: readonly string[], stats?: readonly NativeStat[]) => void,
  ): void;
  readlink(path: string, answer: Answer<string>): void;
  open(path: string, flags: number, answer: Answer<number>): void;
  /** `buffer` is libfuse's own memory: it must not be touched once `answer` was called. */
  read(
    path: string,
    handle: number,
    buffer: Buffer,
    length: number,
    offset: number,
    answer: (bytesOrError: number) => void,
  ): void;
  release(path: string, handle: number, answer: Answer): void;
  statfs(path: string, answer: Answer<NativeStatfs>): void;
}

/** What calls of the package's own step below the handlers look like. */
export type Signal = (result: number, ...rest: readonly unknown[]) => void;

/** The package's class, with the inner methods that the mount replaces. */
export interface FuseNativeClass {
  new (
    mountpoint: string,
    handlers: Readonly<Record<string, unknown>>,
    options: { readonly timeout: false },
  ): FuseNativeMount;
}

/** One mount of the package. */
export interface FuseNativeMount {
  readonly mnt: string;
  /** The package's record of the libfuse thread. */
  readonly _thread: Buffer | null;
  /** Mounts; calls back when the kernel's INIT has been answered. */
  mount(done: (error: Error | null | undefined) => void): void;
  /** Ends what keeps the event loop alive. */
  unmount(done: (error: Error | null | undefined) => void): void;
}

/** The native part of the package. */
export interface FuseNativeBinding {
  fuse_native_unmount(mountpoint: string, thread: Buffer): void;
}

/** The loaded package. */
export interface FuseNativePackage {
  readonly Fuse: FuseNativeClass;
  readonly binding: FuseNativeBinding;
}

/** Inner methods that {@link FuseNativeClass} must have for our replacements to be called. */
const INNER_METHODS = ['_fuseOptions', '_close', '_op_getxattr', '_op_listxattr', '_op_fgetattr'];

/**
 * Loads the package. It is required at run time only: who uses the kernel driver need not have it.
 *
 * @throws FuseNativeError
 */
export function loadFuseNative(): FuseNativePackage {
  const require = createRequire(import.meta.url);
  let entryPath: string;
  try {
    entryPath = require.resolve('fuse-native');
  } catch (cause) {
    const message = 'the package fuse-native is not installed: npm install fuse-native@2.2.6';
    throw new FuseNativeError('missing', message, { cause });
  }
  let loaded: FuseNativePackage;
  try {
    const Fuse = require(entryPath) as FuseNativeClass;
    // The package loads its native part in the same way, so this gives the very same object.
    const load = createRequire(entryPath)('node-gyp-build') as (folder: string) => unknown;
    loaded = { Fuse, binding: load(dirname(entryPath)) as FuseNativeBinding };
  } catch (cause) {
    const message = `the package fuse-native does not load (is libfuse.so.2 installed? Debian: apt install libfuse2): ${String(cause)}`;
    throw new FuseNativeError('load', message, { cause });
  }
  checkVersion(loaded);
  return loaded;
}

function checkVersion({ Fuse, binding }: FuseNativePackage): void {
  const prototype = Fuse.prototype as Readonly<Record<string, unknown>>;
  const lacking = INNER_METHODS.filter((name) => typeof prototype[name] !== 'function');
  if (typeof binding.fuse_native_unmount !== 'function') lacking.push('fuse_native_unmount');
  if (lacking.length === 0) return;
  const message = `this version of fuse-native lacks ${lacking.join(', ')}; 2.2.6 has them`;
  throw new FuseNativeError('changed', message);
}
