import { CodedError } from '../../runtime/coded-error.ts';

/** Why a mount could not be made. */
export type MountErrorCode =
  /** There is no directory at the mountpoint. */
  | 'not-a-directory'
  /** Something else is mounted there. */
  | 'mountpoint-busy'
  /** What is mounted there does not answer. */
  | 'mountpoint-hangs'
  /** The machine has no usable /dev/fuse. */
  | 'no-device'
  /** Neither root nor a helper program may mount. */
  | 'no-permission'
  /** The kernel or the helper refused. */
  | 'refused';

/** A mount could not be made. The message says what to do. */
export class MountError extends CodedError<MountErrorCode> {}
