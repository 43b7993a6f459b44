import { MetaError, type MetaReader } from '../../meta/engine.ts';
import { ROOT_CALLER } from '../../meta/caller.ts';
import type { Committed, DataWriter } from '../../meta/writer.ts';
import type { Attr, Timespec } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Clock } from '../../runtime/clock.ts';
import { sleep, withDeadline } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Counter, Metrics } from '../../runtime/metrics.ts';
import type { Compactions } from './compactions.ts';
import type { WriteSlice } from './write-slice.ts';

/** What commits work with. */
export interface CommitRunParts {
  readonly meta: MetaReader;
  readonly writer: DataWriter;
  readonly compactions: Pick<Compactions, 'noteCommit'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Slices in one transaction. */
const SLICES_MAX = 64;
/** So long a commit is tried while the metadata is away: servers restart within that. */
const GIVE_UP_AFTER_MS = 120_000;
const RETRY_PAUSE_MS = 500;
/** Bound of one attempt; the engine has a deadline of its own, which is shorter. */
const ATTEMPT_TIMEOUT_MS = 60_000;

/** Makes slices visible that are in the object store. */
export class CommitRun {
  /** Slices in one call of {@link commit} at most. */
  readonly slicesMax = SLICES_MAX;
  readonly #parts: CommitRunParts;
  readonly #retries: Counter;
  readonly #renewals: Counter;

  constructor(parts: CommitRunParts) {
    this.#parts = parts;
    const counter = (name: string, help: string) => parts.metrics.counter({ name, help });
    this.#retries = counter(
      'write_commit_retries',
      'Commits of written data that were tried again',
    );
    this.#renewals = counter(
      'write_slice_renewals',
      'Slices stored once more because it is not known whether they were committed',
    );
  }

  /**
   * Commits slices of one file, all or none.
   *
   * @returns the file's attribute afterwards
   * @throws FsError: nothing was changed; BlockWriteError: nothing that is stored now was committed;
   *   MetaError, DeadlineError: it may or may not be done
   */
  async commit(ino: Ino, slices: readonly WriteSlice[], mtime: Timespec): Promise<Attr> {
    const { clock, logger } = this.#parts;
    const giveUpMs = clock.nowMs() + GIVE_UP_AFTER_MS;
    for (let mayBeDone = false; ; ) {
      try {
        const done = mayBeDone ? await this.#earlier(ino, slices) : undefined;
        if (done !== undefined) return done;
        if (mayBeDone) await this.#renew(ino, slices);
        mayBeDone = false;
        const { attr, recordCounts } = await this.#attempt(ino, slices, mtime);
        const { compactions } = this.#parts;
        await Promise.all(
          slices.map(({ index }, at) => compactions.noteCommit(ino, index, recordCounts[at] ?? 0)),
        );
        return attr;
      } catch (error) {
        const isOver = error instanceof FsError || clock.nowMs() >= giveUpMs;
        if (isOver || !mayPass(error)) throw error;
        mayBeDone ||= (error as MetaError).code === 'outcome-unknown';
        this.#retries.add();
        const fields = { ino: String(ino), error: String(error) };
        logger.warn(fields, 'written data could not be committed, trying again');
        await sleep(clock, RETRY_PAUSE_MS);
      }
    }
  }

  #attempt(ino: Ino, slices: readonly WriteSlice[], mtime: Timespec): Promise<Committed> {
    const { clock, writer } = this.#parts;
    const commits = slices.map((slice) => ({ index: slice.index, record: slice.record() }));
    const wait = { what: `commit to inode ${ino}`, timeoutMs: ATTEMPT_TIMEOUT_MS };
    return withDeadline(clock, wait, async (signal) => {
      const call = { caller: ROOT_CALLER, signal };
      return await writer.commitSlices(ino, commits, mtime, call);
    });
  }

  /** The attribute when an earlier attempt is seen to have been successful. */
  #earlier(ino: Ino, slices: readonly WriteSlice[]): Promise<Attr | undefined> {
    const { clock, meta } = this.#parts;
    const first = slices[0] as WriteSlice;
    const { sliceId } = first.record();
    const wait = { what: `look at inode ${ino}`, timeoutMs: ATTEMPT_TIMEOUT_MS };
    return withDeadline(clock, wait, async (signal) => {
      const records = await meta.readChunk(ino, first.index, signal);
      const isThere = records.some((record) => record.sliceId === sliceId);
      return isThere ? await meta.getattr(ino, signal) : undefined;
    });
  }

  /**
   * A slice that is not in its chunk may have been there: another client has compacted it away, and
   * deletes its objects. Or it may yet come there: the server has the commit before it still. So its
   * id must not be committed again, while the same bytes twice do no harm: nobody was told that they
   * are written.
   */
  async #renew(ino: Ino, slices: readonly WriteSlice[]): Promise<void> {
    const fields = { ino: String(ino), slices: slices.length };
    const message = 'it is not known whether written data was committed: it is stored once more';
    this.#parts.logger.warn(fields, message);
    this.#renewals.add(slices.length);
    await Promise.all(slices.map((slice) => slice.renew()));
  }
}

/** Whether another attempt may go better. */
function mayPass(error: unknown): boolean {
  return error instanceof MetaError && error.code !== 'incompatible' && error.code !== 'no-volume';
}
