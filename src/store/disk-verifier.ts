import { Semaphore } from '../runtime/semaphore.ts';
import type { CacheFile } from './cache-file.ts';
import type { OpenFiles } from './open-files.ts';

/** Files that are checked as a whole at once: readers who wait for single units come first. */
const VERIFIERS = 2;
/** Files that wait for their check; of more than these only what is read gets checked. */
const QUEUE_MAX = 1024;

/** Checks whole files in the background; then worker threads may read them by themselves. */
export class DiskVerifier {
  readonly #files: OpenFiles;
  readonly #slots = new Semaphore(VERIFIERS, QUEUE_MAX);
  readonly #signal: AbortSignal;
  readonly #onBad: (file: CacheFile, error: unknown) => void;

  /**
   * @param parts - `onBad`: told when a file cannot be read or is damaged; `signal`: ends all checks
   */
  constructor(parts: {
    files: OpenFiles;
    signal: AbortSignal;
    onBad: (file: CacheFile, error: unknown) => void;
  }) {
    this.#files = parts.files;
    this.#signal = parts.signal;
    this.#onBad = parts.onBad;
  }

  /**
   * Starts a check of the file, which the caller uses, unless there is one. Never rejects.
   *
   * @returns resolves when the file's entry is verified or gone, or the check was not possible now
   */
  check(file: CacheFile): Promise<void> {
    file.verifying ??= this.#verify(file).finally(() => {
      file.verifying = undefined;
    });
    return file.verifying;
  }

  /** Whether one more check would have to be refused. */
  get isBusy(): boolean {
    return this.#slots.waiting >= QUEUE_MAX;
  }

  async #verify(file: CacheFile): Promise<void> {
    // The check itself is a user: the descriptor must outlive it.
    file.users += 1;
    try {
      await this.#slots.run(() => file.verify(this.#signal, false), this.#signal);
      file.entry.isVerified = true;
      this.#files.publish(file);
    } catch (error) {
      if (!this.#signal.aborted) this.#onBad(file, error);
    } finally {
      this.#files.release(file);
    }
  }
}
