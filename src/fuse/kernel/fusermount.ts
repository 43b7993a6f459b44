import { closeSync } from 'node:fs';
import type { Clock } from '../../runtime/clock.ts';
import type { Libc } from '../../runtime/system/libc.ts';
import { MountError } from './mount-error.ts';
import { runProgram } from './run-program.ts';

/** The set-uid helper that mounts and unmounts for users other than root. */
export const FUSERMOUNT = 'fusermount3';
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** Byte offsets in `struct msghdr` and `struct cmsghdr` on 64-bit Linux. */
const MSGHDR_BYTES = 56;
const CMSGHDR_BYTES = 16;
const CONTROL_BYTES = 24;

/**
 * Mounts through the set-uid helper `fusermount3`, which hands the device's descriptor over a unix
 * socket.
 *
 * @param options - `-o` options without `fd`
 * @param means - `run`: runs programs, if not as usual
 * @returns the descriptor
 * @throws MountError
 */
export async function fusermount(
  mountpoint: string,
  options: string,
  { libc, clock, run = runProgram }: { libc: Libc; clock: Clock; run?: typeof runProgram },
): Promise<number> {
  const [ours, theirs] = socketPair(libc);
  try {
    const command = [FUSERMOUNT, '-o', options, '--', mountpoint];
    const environment = { _FUSE_COMMFD: '3' };
    const result = await run(command, { clock, descriptor: theirs, environment });
    if (result.exitCode !== 0) {
      const message = `mounting takes root, or ${FUSERMOUNT}, which failed: ${result.output}`;
      throw new MountError('no-permission', message);
    }
    const descriptor = receiveDescriptor(libc, ours);
    if (descriptor !== undefined) return descriptor;
    // A mount without anybody behind it: whoever looks at it would wait for ever.
    const undo = [FUSERMOUNT, '-u', '-z', '-q', '--', mountpoint];
    const { exitCode, output } = await run(undo, { clock });
    const undone = exitCode === 0 ? 'it was unmounted again' : `unmounting failed: ${output}`;
    const message = `${FUSERMOUNT} has mounted but handed over no device; ${undone}`;
    throw new MountError('refused', message);
  } finally {
    closeSync(ours);
    closeSync(theirs);
  }
}

function socketPair(libc: Libc): [number, number] {
  const pair = new Int32Array(new ArrayBuffer(64));
  const address = libc.addressOf(new Uint8Array(pair.buffer));
  if (libc.socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, address) !== 0) {
    throw new MountError('refused', `cannot make a socket pair (errno ${libc.errno()})`);
  }
  return [pair[0] as number, pair[1] as number];
}

/**
 * Receives one byte and the descriptor that comes with it. The helper has exited, so the message is
 * there. Layout of `struct msghdr`: name u64, namelen u32, pad, iov u64, iovlen u64, control u64,
 * controllen u64, flags u32; of `struct cmsghdr`: len u64, level i32, type i32, data.
 *
 * @returns undefined when none came
 */
function receiveDescriptor(libc: Libc, socket: number): number | undefined {
  // One block of memory: message header, iovec (16 bytes), control data, the byte.
  const block = new Uint8Array(new ArrayBuffer(128));
  const view = new DataView(block.buffer);
  const base = libc.addressOf(block);
  const iovec = MSGHDR_BYTES;
  const control = iovec + 16;
  view.setBigUint64(16, BigInt(base + iovec), true);
  view.setBigUint64(24, 1n, true);
  view.setBigUint64(32, BigInt(base + control), true);
  view.setBigUint64(40, BigInt(CONTROL_BYTES), true);
  view.setBigUint64(iovec, BigInt(base + control + CONTROL_BYTES), true);
  view.setBigUint64(iovec + 8, 1n, true);
  const received = libc.recvmsg(socket, base, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  const isDescriptor =
    received === 1 &&
    view.getBigUint64(40, true) >= BigInt(CMSGHDR_BYTES + 4) &&
    view.getInt32(control + 8, true) === SOL_SOCKET &&
    view.getInt32(control + 12, true) === SCM_RIGHTS;
  return isDescriptor ? view.getInt32(control + CMSGHDR_BYTES, true) : undefined;
}
