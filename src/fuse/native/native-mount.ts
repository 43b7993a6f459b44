import type { FuseContext } from '../operations.ts';
import type {
  Answer,
  FuseNativeMount,
  FuseNativePackage,
  NativeHandlers,
  NativeStat,
  Signal,
} from './fuse-native-package.ts';
import { ERANGE_ANSWER, EROFS_ANSWER } from './native-errno.ts';
import type { NativeOperations } from './native-operations.ts';
import { toStatInts } from './native-stat.ts';
import type { RequestAnswerer } from './request-answerer.ts';

/** What one mount needs. */
export interface NativeMountParts {
  readonly mountpoint: string;
  /** libfuse's `-o` argument. */
  readonly argument: string;
  readonly operations: NativeOperations;
  readonly answerer: RequestAnswerer;
}

/** Operations that would change the volume. The kernel refuses them before, as the mount is read-only. */
const CHANGES = [
  ...['truncate', 'ftruncate', 'utimens', 'chown', 'chmod', 'mknod', 'setxattr', 'removexattr'],
  ...['write', 'create', 'unlink', 'rename', 'link', 'symlink', 'mkdir', 'rmdir'],
] as const;

/** Never called, since the step before them is replaced; but libfuse asks only for what has a handler. */
const REPLACED = ['getxattr', 'listxattr', 'fgetattr'] as const;

/**
 * Prepares a mount of the package.
 *
 * Some of the package's own steps are replaced. Its getxattr and listxattr answer more bytes than
 * the caller's buffer holds, which makes libfuse read behind it; its fgetattr drops the handle; it
 * knows no option for a read-only mount; and its closing gives up, keeping the event loop alive,
 * when the user has unmounted already. Opendir is not handled: the package would not hand the
 * opened directory to readdir.
 */
export function prepareMount(
  { Fuse, binding }: FuseNativePackage,
  parts: NativeMountParts,
): FuseNativeMount {
  const { operations, answerer, argument } = parts;
  class Mount extends Fuse {
    _fuseOptions(): string {
      return argument;
    }

    /** Called when nothing is mounted any more. */
    _close(done: (error: Error | null) => void): void {
      if (this._thread !== null) binding.fuse_native_unmount(this.mnt, this._thread);
      done(null);
    }

    _op_getxattr(signal: Signal, path: string, name: string, buffer: Buffer): void {
      const work = (context: FuseContext) => operations.getxattr(context, path, name);
      answerer.answer(`getxattr ${path} ${name}`, work, answerInto(buffer, signal));
    }

    _op_listxattr(signal: Signal, path: string, buffer: Buffer): void {
      const work = (context: FuseContext) => operations.listxattr(context, path);
      answerer.answer(`listxattr ${path}`, work, answerInto(buffer, signal));
    }

    _op_fgetattr(signal: Signal, path: string, handle: number): void {
      const work = (context: FuseContext) => operations.fgetattr(context, handle);
      answerer.answer(`fgetattr ${path}`, work, (error, stat?: NativeStat) =>
        signal(error, toStatInts(stat)),
      );
    }
  }
  // Without a time-out of the package: it would give the buffer of a read back while we fill it.
  return new Mount(parts.mountpoint, handlers(operations, answerer), { timeout: false });
}

/** Answers with bytes, or their number when the caller has no buffer and so asks for it. */
function answerInto(buffer: Buffer, signal: Signal): Answer<Uint8Array> {
  return (error, value) => {
    if (value === undefined || error !== 0) return signal(error, buffer.buffer);
    if (buffer.length > 0 && value.length > buffer.length) {
      return signal(ERANGE_ANSWER, buffer.buffer);
    }
    if (buffer.length > 0) buffer.set(value);
    signal(value.length, buffer.buffer);
  };
}

function handlers(
  operations: NativeOperations,
  answerer: RequestAnswerer,
): Readonly<Record<string, unknown>> {
  const reading: NativeHandlers = {
    getattr: (path, answer) =>
      answerer.answer(`getattr ${path}`, (context) => operations.getattr(context, path), answer),
    readlink: (path, answer) =>
      answerer.answer(`readlink ${path}`, (context) => operations.readlink(context, path), answer),
    readdir: (path, answer) =>
      answerer.answer(
        `readdir ${path}`,
        (context) => operations.readdir(context, path),
        (error, listing) => answer(error, listing?.names, listing?.stats),
      ),
    open: (path, flags, answer) =>
      answerer.answer(`open ${path}`, (context) => operations.open(context, path, flags), answer),
    // oxlint-disable-next-line max-params -- the package's signature
    read: (path, handle, buffer, length, offset, answer) =>
      answerer.answer(
        `read ${path}`,
        (context) => operations.read(context, handle, buffer, { offset, length }),
        (error, bytes) => answer(error === 0 ? (bytes ?? 0) : error),
      ),
    release: (path, handle, answer) =>
      answerer.answer(`release ${path}`, async () => operations.release(handle), answer),
    statfs: (path, answer) =>
      answerer.answer(`statfs ${path}`, (context) => operations.statfs(context), answer),
  };
  return {
    ...reading,
    ...Object.fromEntries(CHANGES.map(refusal)),
    ...Object.fromEntries(REPLACED.map((name) => [name, () => undefined])),
  };
}

/** The package's last argument is always the answer. */
function refusal(name: string): [string, (...args: unknown[]) => void] {
  return [name, (...args) => (args.at(-1) as Answer)(EROFS_ANSWER)];
}
