/** The end of a lock that goes to the end of the file, however long it becomes. */
export const LOCK_END_MAX = 0x7fff_ffff_ffff_ffffn;

/** What a lock allows to others; `unlock` gives one back. */
export type LockType = 'read' | 'write' | 'unlock';

/** A lock on bytes of a file, as fcntl(2) has them. */
export interface RangeLock {
  readonly type: LockType;
  /** First byte. */
  readonly start: bigint;
  /** Last byte, inclusive; {@link LOCK_END_MAX} is the end of the file. */
  readonly end: bigint;
  /** Process that holds it, as its own machine counts; 0 when another client holds it. */
  readonly pid: number;
}
