import { closeSync, openSync } from 'node:fs';
import type { Clock } from '../../runtime/clock.ts';
import type { Libc } from '../../runtime/system/libc.ts';
import { fusermount } from './fusermount.ts';
import { MountError } from './mount-error.ts';
import { runProgram } from './run-program.ts';
import { REQUEST_BYTES_MAX } from './worker-device.ts';

const DEVICE = '/dev/fuse';
const SUBTYPE = 'cachemesh';
/** @see mount(2) */
const MS_NOSUID = 2;
const MS_NODEV = 4;

/** What to mount, and by which means. */
export interface MountOptions {
  /** As `prepareMountpoint` gives it. */
  readonly mountpoint: string;
  /** The source that `df` and the mount table show, e.g. `cachemesh:myvolume`. */
  readonly fsname: string;
  /** Other users may use the mount. Without root this needs `user_allow_other` in /etc/fuse.conf. */
  readonly allowOther: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly libc: Libc | undefined;
  readonly clock: Clock;
}

/**
 * Mounts, as root by mount(2) or mount(8), otherwise through fusermount3. Like JuiceFS mounts:
 * the kernel checks permissions, set-uid bits and device nodes have no effect. And like read-only
 * JuiceFS mounts it is writable for the kernel: access(2) then tells what the modes and rules say,
 * and changes are refused by the session.
 *
 * @returns the descriptor of the device; the INIT request can be read from it
 * @throws MountError
 */
export async function mountFuse(options: MountOptions): Promise<number> {
  if (options.uid === 0) return mountAsRoot(options);
  const { libc, clock } = options;
  if (libc === undefined) {
    const message =
      'the kernel driver needs root here, because the native library koffi is not available; use --fuse-driver fuse-native';
    throw new MountError('no-permission', message);
  }
  const fsname = options.fsname.replaceAll(/[\\,]/g, '\\$&');
  const names = `rw,nosuid,nodev,fsname=${fsname},subtype=${SUBTYPE}`;
  return fusermount(options.mountpoint, `${names},${behaviour(options)}`, { libc, clock });
}

async function mountAsRoot(options: MountOptions): Promise<number> {
  const fd = openDevice();
  try {
    if (options.libc === undefined) await mountByProgram(options, fd);
    else mountByCall(options, options.libc, fd);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openDevice(): number {
  try {
    return openSync(DEVICE, 'r+');
  } catch (error) {
    const message = `cannot open ${DEVICE}: ${String(error)}. Load the module fuse; in a container pass the device in`;
    throw new MountError('no-device', message, { cause: error });
  }
}

function mountByCall(options: MountOptions, libc: Libc, fd: number): void {
  const { mountpoint, fsname } = options;
  const flags = MS_NOSUID | MS_NODEV;
  const data = `fd=${fd},${identity(options)},${behaviour(options)}`;
  if (libc.mount(fsname, mountpoint, `fuse.${SUBTYPE}`, flags, data) === 0) return;
  const errno = libc.errno();
  const hint = errno === 1 ? '; in a container it takes CAP_SYS_ADMIN' : '';
  throw new MountError('refused', `mounting at ${mountpoint} failed (errno ${errno}${hint})`);
}

async function mountByProgram(options: MountOptions, fd: number): Promise<void> {
  const data = `rw,nosuid,nodev,fd=3,${identity(options)},${behaviour(options)}`;
  const type = `fuse.${SUBTYPE}`;
  const command = ['mount', '-i', '-t', type, '-o', data, '--', options.fsname, options.mountpoint];
  const { exitCode, output } = await runProgram(command, { clock: options.clock, descriptor: fd });
  if (exitCode === 0) return;
  throw new MountError('refused', `mounting at ${options.mountpoint} failed: ${output}`);
}

/** The mode of the root is checked against the type bits only: a directory. */
function identity({ uid, gid }: MountOptions): string {
  return `rootmode=40000,user_id=${uid},group_id=${gid}`;
}

function behaviour({ allowOther }: MountOptions): string {
  return `default_permissions,max_read=${REQUEST_BYTES_MAX}${allowOther ? ',allow_other' : ''}`;
}
