import { createRequire } from 'node:module';

/**
 * The system calls that Node lacks, through koffi. Pointers and lengths are plain numbers (declaring
 * pointers as int64 and passing numbers is the fastest form; user addresses are below 2^47).
 * Every function returns what the C library returns; after a −1 `errno()` says why.
 */
export interface Libc {
  read(fd: number, address: number, length: number): number;
  /** @param iovecs - address of `count` iovec structures of 16 bytes: address, length */
  writev(fd: number, iovecs: number, count: number): number;
  pread(fd: number, address: number, length: number, offset: number): number;
  write(fd: number, address: number, length: number): number;
  /**
   * @param fromOffset - address of the offset (int64) in `from`, 0 for a pipe; likewise `toOffset`
   * @see splice(2)
   */
  splice(
    from: number,
    fromOffset: number,
    to: number,
    toOffset: number,
    length: number,
    flags: number,
  ): number;
  /** @param descriptors - address of two int32 */
  pipe2(descriptors: number, flags: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  /** @param descriptors - address of two int32 */
  socketpair(domain: number, type: number, protocol: number, descriptors: number): number;
  /** @param message - address of a `struct msghdr` */
  recvmsg(fd: number, message: number, flags: number): number;
  /** @see send(2); `flags`: `MSG_*` */
  send(fd: number, address: number, length: number, flags: number): number;
  /** @see shutdown(2) */
  shutdown(fd: number, how: number): number;
  /** Makes `to` another name of what `from` names, atomically. @see dup3(2) */
  dup3(from: number, to: number, flags: number): number;
  /** @param descriptors - address of `count` pollfd structures of 8 bytes. @see poll(2) */
  poll(descriptors: number, count: number, timeoutMs: number): number;
  open(path: string, flags: number, mode: number): number;
  close(fd: number): number;
  /** @param argument - address of the request's structure */
  ioctl(fd: number, request: number, argument: number): number;
  /**
   * The same on one of the runtime's threads, for requests that may wait for a disk. Descriptors and the
   * structure must stay until it resolves. @returns what it gave, or a negative errno
   */
  ioctlLater(fd: number, request: number, argument: number): Promise<number>;
  mmap(
    address: number,
    length: number,
    prot: number,
    flags: number,
    fd: number,
    offset: number,
  ): number;
  munmap(address: number, length: number): number;
  madvise(address: number, length: number, advice: number): number;
  mount(source: string, target: string, type: string, flags: number, data: string): number;
  umount2(target: string, flags: number): number;
  /** The calling thread's errno of the last call made here. */
  errno(): number;
  /** Address of a buffer's first byte; the caller keeps the buffer alive. */
  addressOf(buffer: Uint8Array): number;
  /** Memory at an address as bytes. It must outlive every use of the view. */
  view(address: number, length: number): Uint8Array;
}

/** The library's signatures, as koffi declares them. */
const SIGNATURES = {
  read: ['int64', ['int', 'int64', 'size_t']],
  writev: ['int64', ['int', 'int64', 'int']],
  pread: ['int64', ['int', 'int64', 'size_t', 'int64']],
  write: ['int64', ['int', 'int64', 'size_t']],
  splice: ['int64', ['int', 'int64', 'int', 'int64', 'size_t', 'uint']],
  pipe2: ['int', ['int64', 'int']],
  fcntl: ['int', ['int', 'int', 'int64']],
  socketpair: ['int', ['int', 'int', 'int', 'int64']],
  recvmsg: ['int64', ['int', 'int64', 'int']],
  send: ['int64', ['int', 'int64', 'size_t', 'int']],
  shutdown: ['int', ['int', 'int']],
  dup3: ['int', ['int', 'int', 'int']],
  poll: ['int', ['int64', 'ulong', 'int']],
  open: ['int', ['str', 'int', 'uint']],
  close: ['int', ['int']],
  ioctl: ['int', ['int', 'ulong', 'int64']],
  mmap: ['int64', ['int64', 'size_t', 'int', 'int', 'int', 'int64']],
  munmap: ['int', ['int64', 'size_t']],
  madvise: ['int', ['int64', 'size_t', 'int']],
  mount: ['int', ['str', 'str', 'str', 'ulong', 'str']],
  umount2: ['int', ['str', 'int']],
} as const;

/**
 * @returns the calls, or undefined where koffi or the GNU C library is missing (macOS, musl, an
 * architecture without a prebuilt koffi): callers then do without
 */
export function loadLibc(): Libc | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    // Required at run time only, so that a missing native package is a choice and not a crash.
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const library = koffi.load('libc.so.6');
    const calls = Object.fromEntries(
      Object.entries(SIGNATURES).map(([name, [result, parameters]]) => [
        name,
        library.func(name, result, [...parameters]) as unknown,
      ]),
    );
    const errno = () => koffi.errno();
    return {
      ...(calls as unknown as Omit<Libc, 'ioctlLater' | 'errno' | 'addressOf' | 'view'>),
      ioctlLater: laterBy(calls['ioctl'] as LaterCall, errno),
      errno,
      addressOf: (buffer) => Number(koffi.address(buffer)),
      view: (address, length) => new Uint8Array(koffi.view(BigInt(address), length)),
    };
  } catch {
    return undefined;
  }
}

/** A call that can also be made on another thread. */
interface LaterCall {
  async(...parameters: [...number[], (error: Error | null, result: number) => void]): void;
}

/** @param errno - of the call, while its callback runs: koffi carries it over */
function laterBy(call: LaterCall, errno: () => number): Libc['ioctlLater'] {
  return (...parameters) =>
    new Promise((resolve, reject) => {
      call.async(...parameters, (error, result) => {
        if (error !== null) reject(error);
        else resolve(result < 0 ? -errno() : result);
      });
    });
}
