import type { Ino } from '../../posix/ino.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { WriteRunner } from './write-runner.ts';

/** What is open here, and which of it has lost its last name. */
export class OpenTable {
  readonly #counts = new Map<Ino, number>();
  /** With the session that they were left to. */
  readonly #sustained = new Map<Ino, bigint>();
  readonly #parts: {
    readonly sid: () => bigint | undefined;
    readonly logger: Logger;
    readonly onDeleted: (ino: Ino, length: bigint) => void;
  };
  #runner: WriteRunner | undefined;

  constructor(parts: {
    readonly sid: () => bigint | undefined;
    readonly logger: Logger;
    readonly onDeleted: (ino: Ino, length: bigint) => void;
  }) {
    this.#parts = parts;
  }

  /** Handles by inode. */
  get counts(): ReadonlyMap<Ino, number> {
    return this.#counts;
  }

  /** What removes inodes after their last close. */
  useRunner(runner: WriteRunner): void {
    this.#runner = runner;
  }

  /** @see OpenInodes.opened */
  opened(ino: Ino): void {
    this.#counts.set(ino, (this.#counts.get(ino) ?? 0) + 1);
  }

  /** The inode has no name any more and was left to the session. */
  sustain(ino: Ino): void {
    const sid = this.#parts.sid();
    if (sid === undefined) return;
    this.#sustained.set(ino, sid);
    // Closed while it was being unlinked.
    if (!this.#counts.has(ino)) void this.#dropLater(ino);
  }

  /** @see OpenInodes.closed */
  async closed(ino: Ino, signal: AbortSignal): Promise<void> {
    const count = this.#counts.get(ino) ?? 0;
    if (count > 1) {
      this.#counts.set(ino, count - 1);
      return;
    }
    this.#counts.delete(ino);
    if (this.#sustained.has(ino)) await this.#drop(ino, signal);
  }

  /** Removes what could not be removed when it was closed. @throws MetaError */
  async dropClosed(signal: AbortSignal): Promise<void> {
    for (const ino of this.#sustained.keys()) {
      if (!this.#counts.has(ino)) await this.#drop(ino, signal);
    }
  }

  async #dropLater(ino: Ino): Promise<void> {
    try {
      await this.#drop(ino, new AbortController().signal);
    } catch (error) {
      const fields = { ino: String(ino), error: String(error) };
      this.#parts.logger.warn(fields, 'a closed file is removed later');
    }
  }

  async #drop(ino: Ino, signal: AbortSignal): Promise<void> {
    const sid = this.#sustained.get(ino);
    if (sid === undefined || this.#runner === undefined) return;
    const length = await this.#runner.run('dropSustained', { ino, sid }, { turns: [ino], signal });
    this.#sustained.delete(ino);
    if (length !== undefined) this.#parts.onDeleted(ino, length);
  }
}
