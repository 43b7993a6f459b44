import type { Timespec } from '../posix/attr.ts';

/** A time to set: a given one, or the present. */
export type NewTime = Timespec | 'now';

/** What to change of an attribute; what is absent stays. */
export interface SetAttr {
  /** Permission bits, 0 … 0o7777. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly atime?: NewTime;
  readonly mtime?: NewTime;
  /** The whole byte of JuiceFS flags. @see Attr.flags */
  readonly flags?: number;
  /** Storage tier, 0 … 3. */
  readonly tier?: number;
}
