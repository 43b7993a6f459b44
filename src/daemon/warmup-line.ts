import type { CacheAction, CacheFailure, CacheProgress } from '../vfs/warm/cache-progress.ts';

/**
 * How far a warm-up, check or eviction is: what `cachemesh warmup --json` prints once a second and at
 * the end. Fields are only ever added.
 */
export interface WarmupLine {
  /** `end` comes last and once; `started` instead of all others with `--background`. */
  readonly type: 'progress' | 'end' | 'started';
  readonly action: CacheAction;
  readonly state: 'running' | 'done' | 'cancelled';
  /** Number of the job in its daemon. */
  readonly job: number;
  readonly elapsedMs: number;
  /** What was found is all there is. */
  readonly walked: boolean;
  readonly filesFound: number;
  readonly filesDone: number;
  readonly filesFailed: number;
  readonly pathsFailed: number;
  /** Visible parts of slices. */
  readonly slicesFound: number;
  readonly blocksFound: number;
  readonly bytesFound: number;
  readonly bytesDone: number;
  readonly fetchedBlocks: number;
  readonly fetchedBytes: number;
  /** Held already, so that nothing was to be done. */
  readonly heldBlocks: number;
  readonly heldBytes: number;
  readonly failedBlocks: number;
  readonly failedBytes: number;
  /** Went to their next owner, because the first did not answer. */
  readonly movedBlocks: number;
  /** `check`: bytes that at least one node holds. */
  readonly cachedBytes: number;
  /** `check`: bytes by `<node> <tier>`; what several nodes hold counts for each. */
  readonly heldBy: Readonly<Record<string, number>>;
  /** `evict`: copies dropped. */
  readonly evictedBlocks: number;
  readonly evictedBytes: number;
  /** `pin`: files of several blocks that the kernel of this node can read by itself now. */
  readonly views: number;
  /** Members that did not answer. */
  readonly silent: readonly string[];
  /** What failed, by path; at most 100, only in `end`. */
  readonly failures: readonly CacheFailure[];
}

/** What a line says beside the progress. */
type LineHead = Pick<WarmupLine, 'type' | 'action' | 'state' | 'job' | 'elapsedMs'>;

/** @returns the line about a job's progress */
export function warmupLine(head: LineHead, progress: CacheProgress): WarmupLine {
  const { heldBy, silent, failures, ...counts } = progress;
  return {
    ...head,
    ...counts,
    heldBy: Object.fromEntries(heldBy),
    silent: [...silent],
    failures: head.type === 'end' ? failures : [],
  };
}

/** @returns what two jobs, one after the other, come to */
export function addLines(a: WarmupLine, b: WarmupLine): WarmupLine {
  const sum: Record<string, unknown> = { ...b };
  for (const [name, value] of Object.entries(b)) {
    const before = (a as unknown as Record<string, unknown>)[name];
    const isCount = typeof value === 'number' && typeof before === 'number' && name !== 'job';
    if (isCount) sum[name] = before + value;
  }
  const heldBy: Record<string, number> = { ...a.heldBy };
  for (const [holder, bytes] of Object.entries(b.heldBy)) {
    heldBy[holder] = (heldBy[holder] ?? 0) + bytes;
  }
  const silent = [...new Set([...a.silent, ...b.silent])];
  return {
    ...(sum as unknown as WarmupLine),
    heldBy,
    silent,
    failures: [...a.failures, ...b.failures],
  };
}

/** Whether the command has not done all that it was asked for. */
export function hasFailed(line: WarmupLine): boolean {
  const { state, filesFailed, pathsFailed, failedBlocks, silent } = line;
  return (
    state === 'cancelled' ||
    filesFailed > 0 ||
    pathsFailed > 0 ||
    failedBlocks > 0 ||
    silent.length > 0
  );
}
