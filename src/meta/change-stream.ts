import type { Ino } from '../posix/ino.ts';

/** What was changed in a volume, by whichever client, this one included. */
export interface Changes {
  /** Inodes whose attribute is another one now, or gone. */
  readonly attrs: readonly Ino[];
  /** Directories in which a name was made, removed or leads elsewhere. */
  readonly names: readonly Ino[];
}

/** Hears what is changed in a volume. Its methods must not throw. */
export interface ChangeListener {
  changed(changes: Changes): void;
  /**
   * Every change that was confirmed to its maker before `atMs` (the clock's) has been told. Comes several
   * times a second while the stream lives; the first one begins it.
   */
  proven(atMs: number): void;
  /** From the last proof on changes may have been missed. Nothing is told before the next `proven`. */
  lost(): void;
}

/**
 * Tells of the changes of a volume as they are made.
 *
 * A stream that cannot be proven to be alive for a second is lost: so when nothing was heard of a
 * change, the last proof is at most {@link CHANGES_SILENCE_MAX_MS} old, or `lost` was called.
 */
export interface ChangeStream {
  /** How long what the stream covers may be believed, whatever it says. */
  readonly expiryMs: number;
  /** So many attributes, and so many names, are to be held at most; undefined: as is usual. */
  readonly sizeMax?: number | undefined;
  /** Begins to listen, and goes on after every loss until the function that it returns is called. */
  subscribe(listener: ChangeListener): () => void;
}

/** A stream counts as lost when its last proof is older, as long as the process gets to run. */
export const CHANGES_SILENCE_MAX_MS = 1_000;
