import type { FuseContext } from '../../fuse/operations.ts';
import { Errno, FsError } from '../../posix/errno.ts';
import { toIno } from '../../posix/ino.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { CacheAction, CacheProgress } from '../warm/cache-progress.ts';
import type { CacheJobs, RunningJob } from '../warm/cache-jobs.ts';
import {
  type CloneBody,
  ControlCommand,
  dataItem,
  errnoItem,
  parseClone,
  parseControl,
  parseFillCache,
  parseInfo,
  progressItem,
  textItem,
} from './control-message.ts';
import { ControlStream } from './control-stream.ts';
import { type InodeReport, inodeReport, type ReportParts, reportText } from './inode-report.ts';
import { emptySummary } from './tree-summary.ts';

/** Between two progress items, as in JuiceFS. */
const PROGRESS_MS = 300;
/** A request of 10,240 long paths fits; more is no request of any tool. */
const REQUEST_BYTES_MAX = 64 * 2 ** 20;
/** Requests under way on one open file. */
const REQUESTS_MAX = 16;
const ACTIONS: readonly CacheAction[] = ['warm', 'evict', 'check'];
const PARALLEL_MAX = 1_000;

/** Who uses `.control`. */
export type ControlUser = Pick<FuseContext, 'uid' | 'gid'>;

/** Copies a tree by its metadata. Inode numbers are the mount's. @throws FsError */
export type CloneTree = (
  clone: CloneBody,
  how: { user: ControlUser; onCopied: () => void; signal: AbortSignal },
) => Promise<void>;

/** What a {@link ControlSession} works with. */
export interface ControlParts extends ReportParts {
  /** Undefined: the volume cannot be changed through this mount. */
  readonly clone?: CloneTree | undefined;
  readonly jobs: CacheJobs;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One open `.control`: takes requests of JuiceFS's tools and answers them in its stream. */
export class ControlSession {
  readonly #parts: ControlParts;
  readonly #stream = new ControlStream();
  readonly #closing = new AbortController();
  #pending: Uint8Array = new Uint8Array();
  #running = 0;

  constructor(parts: ControlParts) {
    this.#parts = parts;
  }

  /**
   * Takes a part of a request, and begins when it is complete.
   *
   * @throws FsError EFBIG for more than any request has; EBUSY when too many are under way
   */
  write(bytes: Uint8Array, user: ControlUser): void {
    if (this.#pending.byteLength + bytes.byteLength > REQUEST_BYTES_MAX) {
      this.#pending = new Uint8Array();
      throw new FsError('EFBIG', 'a request to .control is too long');
    }
    const pending = Buffer.concat([this.#pending, bytes]);
    const parsed = parseControl(pending);
    this.#pending = parsed.kind === 'incomplete' ? pending : new Uint8Array();
    if (parsed.kind === 'incomplete') return;
    if (this.#running >= REQUESTS_MAX) throw new FsError('EBUSY', 'too many requests to .control');
    // The writer's position stands behind its request: there it looks for the answer.
    this.#stream.append(pending);
    if (parsed.kind === 'broken') this.#stream.append(errnoItem(Errno.EIO));
    else void this.#run(parsed.command, parsed.body, user);
  }

  /** @throws FsError EIO for a part that was dropped */
  read(range: { offset: number; length: number }): Uint8Array {
    return this.#stream.read(range.offset, range.length);
  }

  /** Ends what runs, background jobs excepted. */
  close(): void {
    this.#closing.abort(new FsError('EINTR', '.control was closed'));
  }

  /** Never rejects: every request gets an answer. */
  async #run(command: number, body: Uint8Array, user: ControlUser): Promise<void> {
    this.#running += 1;
    try {
      this.#stream.append(await this.#answer(command, body, user));
    } catch (error) {
      const { logger } = this.#parts;
      if (!this.#closing.signal.aborted) {
        logger.warn({ command, error: String(error) }, 'a request to .control failed');
      }
      this.#stream.append(errnoItem(error instanceof FsError ? error.errno : Errno.EIO));
    } finally {
      this.#running -= 1;
    }
  }

  #answer(command: number, body: Uint8Array, user: ControlUser): Promise<Uint8Array> {
    switch (command) {
      case ControlCommand.fillCache:
        return this.#fillCache(body);
      case ControlCommand.info:
        return this.#info(body);
      case ControlCommand.legacyInfo:
        return this.#legacyInfo(body);
      case ControlCommand.clone:
        return this.#clone(body, user);
      case ControlCommand.rmr:
      case ControlCommand.compact:
        this.#parts.logger.info({ command }, 'a tool wants to change the volume');
        return Promise.resolve(errnoItem(Errno.EROFS));
      default:
        this.#parts.logger.info({ command }, 'a tool asks for something that is not known here');
        return Promise.resolve(errnoItem(Errno.EINVAL));
    }
  }

  async #fillCache(body: Uint8Array): Promise<Uint8Array> {
    const request = parseFillCache(body);
    const action = ACTIONS[request?.action ?? ACTIONS.length];
    if (request === undefined || action === undefined) return errnoItem(Errno.EINVAL);
    const { paths, threads, background } = request;
    const parallel = Math.min(Math.max(threads, 1), PARALLEL_MAX);
    const job = this.#parts.jobs.start({ action, paths, parallel });
    if (background) return dataItem(cacheResponse(action, undefined));
    await this.#follow(job);
    return dataItem(cacheResponse(action, job.progress));
  }

  async #clone(body: Uint8Array, user: ControlUser): Promise<Uint8Array> {
    const { clone } = this.#parts;
    if (clone === undefined) return errnoItem(Errno.EROFS);
    const request = parseClone(body);
    if (request === undefined) return errnoItem(Errno.EINVAL);
    let copied = 0;
    const onCopied = () => void (copied += 1);
    const copying = clone(request, { user, onCopied, signal: this.#closing.signal });
    await this.#withProgress(copying, () => [copied, copied]);
    return errnoItem(0);
  }

  async #follow(job: RunningJob): Promise<void> {
    const { signal } = this.#closing;
    const cancel = () => job.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    const { progress } = job;
    await this.#withProgress(job.ended, () => [progress.filesDone, progress.bytesDone]);
    signal.removeEventListener('abort', cancel);
  }

  async #info(body: Uint8Array): Promise<Uint8Array> {
    const request = parseInfo(body);
    if (request === undefined) return errnoItem(Errno.EINVAL);
    const summary = emptySummary();
    const reporting = this.#report(request, summary);
    await this.#withProgress(reporting, () => [summary.Files, summary.Size]);
    return dataItem(await reporting);
  }

  async #legacyInfo(body: Uint8Array): Promise<Uint8Array> {
    const request = parseInfo(body);
    if (request === undefined) return errnoItem(Errno.EINVAL);
    const report = await this.#report(request, emptySummary());
    return textItem(report.Failed ? report.Reason : reportText(report));
  }

  /** A failure is told inside the report, as JuiceFS does. */
  async #report(
    request: NonNullable<ReturnType<typeof parseInfo>>,
    summary: InodeReport['Summary'],
  ): Promise<InodeReport> {
    const ino = toIno(request.ino);
    try {
      return await inodeReport(this.#parts, { ...request, ino, summary }, this.#closing.signal);
    } catch (error) {
      const isMissing = error instanceof FsError && error.code === 'ENOENT';
      const reason = isMissing ? 'no such file or directory' : String(error);
      return failedReport(request.ino, summary, reason);
    }
  }

  /** Writes progress as long as `work` goes on, and once more at its end if there is any. */
  async #withProgress(
    work: Promise<unknown>,
    numbers: () => readonly [number | bigint, number | bigint],
  ): Promise<void> {
    const { clock } = this.#parts;
    let timer: Timer | undefined;
    const tick = () => {
      this.#stream.appendIfRoom(progressItem(...numbers()));
      timer = clock.setTimer(PROGRESS_MS, tick);
    };
    timer = clock.setTimer(PROGRESS_MS, tick);
    try {
      await work;
    } finally {
      timer.cancel();
    }
    const [first, second] = numbers();
    if (Number(first) > 0 || Number(second) > 0) this.#stream.append(progressItem(first, second));
  }
}

/** What `juicefs warmup` gets; field names are part of its protocol. */
function cacheResponse(action: CacheAction, progress: CacheProgress | undefined) {
  const { cachedBytes = 0, bytesDone = 0, heldBy } = progress ?? {};
  return {
    FileCount: progress?.filesDone ?? 0,
    SliceCount: progress?.slicesFound ?? 0,
    TotalBytes: bytesDone,
    MissBytes: action === 'check' ? bytesDone - cachedBytes : 0,
    Locations: Object.fromEntries(heldBy ?? []),
  };
}

function failedReport(ino: bigint, summary: InodeReport['Summary'], reason: string): InodeReport {
  return {
    Ino: toIno(ino),
    Failed: true,
    Reason: reason,
    Summary: summary,
    Paths: [],
    Chunks: [],
    Objects: [],
    PLocks: [],
    FLocks: [],
    Tier: { ID: 0, StorageClass: '', Tag: '' },
    RestoreStatus: '',
  };
}
