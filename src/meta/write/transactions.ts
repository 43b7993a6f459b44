import type { Ino } from '../../posix/ino.ts';
import type { TxContext, IdCounter, DirStats } from './meta-tx.ts';
import type { WriteArgs, WriteOp, WriteResult } from './write-ops.ts';

/** How a transaction is run. */
export interface TransactOptions {
  readonly context: Omit<TxContext, 'now'>;
  /** What this client has open, and by how many handles. */
  readonly open: ReadonlyMap<Ino, number>;
  /** What it is about, for messages. */
  readonly target: Ino;
  /**
   * Directories or inodes that it changes: this process runs one at a time of what has one in
   * common, so that its own transactions do not make each other start again.
   */
  readonly turns: readonly Ino[];
  /** Ends waits, but not a commit that is under way. */
  readonly signal: AbortSignal;
}

/** What a transaction gave. */
export interface Transacted<Result> {
  readonly result: Result;
  /** Directories whose statistics are missing and have to be made. */
  readonly staleStats: readonly Ino[];
}

/** The part of an engine that changes the volume. */
export interface MetaTransactions {
  /**
   * Runs a body until it commits.
   *
   * @throws FsError of the body, and then nothing was changed; MetaError
   */
  transact<Op extends WriteOp>(
    op: Op,
    args: WriteArgs<Op>,
    options: TransactOptions,
  ): Promise<Transacted<WriteResult<Op>>>;
  /** @returns the first of `count` ids that nobody else has; they follow each other */
  takeIds(counter: IdCounter, count: number, signal: AbortSignal): Promise<bigint>;
  /** Stores statistics of a directory, if it is there still. */
  putDirStats(dir: Ino, stats: DirStats, signal: AbortSignal): Promise<void>;
  /** Whether any directory has a quota. */
  hasDirQuotas(signal: AbortSignal): Promise<boolean>;
  /** @throws MetaError `incompatible` when tables or columns are missing that must be written */
  checkWritable(signal: AbortSignal): Promise<void>;
}
