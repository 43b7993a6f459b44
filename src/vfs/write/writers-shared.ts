import type { Attr, Timespec } from '../../posix/attr.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Counter } from '../../runtime/metrics.ts';
import type { OpenFile } from '../open-file.ts';
import type { CommitRun } from './commit-run.ts';
import type { WriteClock } from './write-clock.ts';
import type { SliceParts } from './write-slice.ts';

/** Who keeps what is known of files up to date with what is written here. */
export interface WrittenFiles {
  /** Bytes up to `endBytes` were written and wait to be committed. */
  wrote(file: OpenFile, endBytes: number, mtime: Timespec): void;
  /** The metadata has taken some, or all, of what waited. */
  committed(file: OpenFile, attr: Attr, isMoreWaiting: boolean): void;
  /** What waited is lost. */
  gaveUp(file: OpenFile): void;
}

/** What the writers of all files share. */
export interface WritersShared extends SliceParts {
  readonly commits: CommitRun;
  readonly files: WrittenFiles;
  readonly times: WriteClock;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bytes that were acknowledged and could not be kept. */
  readonly lost: Counter;
  /** Waits for memory for new bytes. @throws FsError EIO, the signal's reason when aborted */
  readonly acquire: (bytes: number, signal: AbortSignal) => Promise<() => void>;
}
