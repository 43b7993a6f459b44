import type { Attr, Timespec } from '../posix/attr.ts';
import type { Ino } from '../posix/ino.ts';
import type { FileVersion } from './file-version.ts';

/** A file that was opened: what we know of it. */
export interface OpenFile {
  readonly ino: Ino;
  attr: Attr;
  version: FileVersion;
  /** When the request was made that `attr` comes from: its {@link Ticket}. */
  ticket: Ticket;
  /** When `attr` was last confirmed. */
  checkedAtMs: number;
  /** Somebody was heard to have changed it after `attr` was asked for. */
  isDoubted: boolean;
  /** Taken when that was heard last. */
  doubted: Ticket;
  /** Open handles. */
  handles: number;
  /** What was written here and is not committed, so that no reader of the metadata sees it. */
  pending: PendingWrites | undefined;
  /** Taken when the last change by this mount was known to be done. */
  changed: Ticket;
  /** What about the file only the main thread can answer. */
  decidedHere: DecidedHere;
}

/** Requests about a file. */
export type DecidedHere = 'nothing' | 'opens' | 'all';

/** Writes of this mount that are not committed. */
export interface PendingWrites {
  /** How far the writes reach. */
  readonly lengthBytes: bigint;
  /** When the last one came. */
  readonly mtime: Timespec;
}

/** Orders metadata requests by when they were made. */
export type Ticket = number & { readonly __brand: 'Ticket' };

/** What is to be told of a file: the metadata's attribute, and what was written since. */
export function shownAttr({ attr, pending }: Pick<OpenFile, 'attr' | 'pending'>): Attr {
  if (pending === undefined) return attr;
  const { lengthBytes, mtime } = pending;
  const length = lengthBytes > attr.length ? lengthBytes : attr.length;
  return { ...attr, length, mtime, ctime: mtime };
}
