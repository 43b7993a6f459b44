/** What is done with the cached blocks of a path. */
export type CacheAction = 'warm' | 'pin' | 'check' | 'evict';

/** A file or directory that could not be dealt with. */
export interface CacheFailure {
  /** As the request wrote it, or below that. */
  readonly path: string;
  readonly error: string;
}

/** Failures that are named; further ones are only counted. */
const FAILURES_MAX = 100;

/**
 * How far a job is. Blocks that several files share count for each of them, except that they are
 * fetched once.
 */
export class CacheProgress {
  /** The whole tree was seen: what was found is all there is. */
  walked = false;
  filesFound = 0;
  filesDone = 0;
  /** Of those done: files of which a block failed, or that could not be read. */
  filesFailed = 0;
  /** Directories that could not be listed, and paths that were not found. */
  pathsFailed = 0;
  /** Visible parts of slices. */
  slicesFound = 0;
  blocksFound = 0;
  bytesFound = 0;
  /** Fetched, held already, or failed. */
  bytesDone = 0;
  fetchedBlocks = 0;
  fetchedBytes = 0;
  heldBlocks = 0;
  heldBytes = 0;
  failedBlocks = 0;
  failedBytes = 0;
  /** Blocks that went to another owner than their first, which did not answer. */
  movedBlocks = 0;
  /** `check`: bytes that some node holds. */
  cachedBytes = 0;
  /** `check`: bytes by `<node> <tier>`; what several hold counts for each. */
  readonly heldBy = new Map<string, number>();
  /** `evict`: copies that were dropped. */
  evictedBlocks = 0;
  evictedBytes = 0;
  /** `pin`: files of several blocks that the kernel can read by itself now. */
  views = 0;
  /** Members that did not answer a question. */
  readonly silent = new Set<string>();
  readonly failures: CacheFailure[] = [];

  /** Notes why something failed; the counters are the caller's. */
  note(path: string, error: unknown): void {
    if (this.failures.length >= FAILURES_MAX) return;
    const text = error instanceof Error ? error.message : String(error);
    this.failures.push({ path, error: text });
  }
}
