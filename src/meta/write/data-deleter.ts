import type { Logger } from '../../runtime/logger.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { WritableEngine } from '../writable-engine.ts';
import type { SliceSize } from './meta-tx.ts';
import type { DeletedFile } from './scans.ts';
import type { WriteRunner } from './write-runner.ts';

/** More than this are left to the hourly work. */
const WAITING_MAX = 100;

/** What a {@link DataDeleter} works with. */
export interface DataDeleterParts {
  readonly engine: WritableEngine;
  readonly runner: WriteRunner;
  readonly objects: {
    removeSlice(slice: SliceSize, signal: AbortSignal): Promise<void>;
  };
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Deletes the data of files that are gone: first the references, then the objects. */
export class DataDeleter {
  readonly #parts: DataDeleterParts;
  readonly #signal: AbortSignal;
  readonly #waiting: DeletedFile[] = [];
  #work: Promise<void> | undefined;

  /** @param signal - ends what was handed to {@link add} */
  constructor(parts: DataDeleterParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
  }

  /** Deletes a file's data soon, one after the other; when too many wait, the hourly work does it. */
  add(file: DeletedFile): void {
    if (this.#waiting.length >= WAITING_MAX || this.#signal.aborted) return;
    this.#waiting.push(file);
    this.#work ??= this.#run().finally(() => {
      this.#work = undefined;
    });
  }

  /** Resolves when nothing is under way. */
  async settle(): Promise<void> {
    await this.#work;
  }

  /** @throws MetaError, StoreError: what is left is done by the hourly work */
  async deleteFile(file: DeletedFile, signal: AbortSignal): Promise<void> {
    const { engine, runner } = this.#parts;
    const { ino, length } = file;
    const turns: [typeof ino] = [ino];
    for (const index of await engine.scans.chunkIndexes(file, signal)) {
      const unused = await runner.run('deleteChunk', { ino, index }, { turns, signal });
      await this.removeSlices(unused, signal);
    }
    await runner.run('finishDeletion', { ino, length }, { turns, signal });
  }

  /** Removes the objects of slices that nothing refers to, then what is known of them. */
  async removeSlices(slices: readonly SliceSize[], signal: AbortSignal): Promise<void> {
    const { objects, runner } = this.#parts;
    for (const slice of slices) {
      signal.throwIfAborted();
      runner.check();
      await objects.removeSlice(slice, signal);
      await runner.run('forgetSlices', [slice], { turns: [NO_INO], signal });
    }
  }

  async #run(): Promise<void> {
    for (let file = this.#waiting.shift(); file !== undefined; file = this.#waiting.shift()) {
      try {
        await this.deleteFile(file, this.#signal);
      } catch (error) {
        if (this.#signal.aborted) return;
        const { metrics, logger } = this.#parts;
        metrics
          .counter({ name: 'delete_data_errors', help: 'deleted files whose data stays for now' })
          .add();
        const fields = { ino: String(file.ino), error: String(error) };
        logger.warn(fields, 'the data of a deleted file stays for now');
      }
    }
  }
}

const NO_INO = 0n as DeletedFile['ino'];
