import type { Ino } from '../../posix/ino.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { MetaError } from '../engine.ts';
import type { WritableEngine } from '../writable-engine.ts';
import { sumDirectory } from './sum-directory.ts';
import type { VolumeRules } from './volume-rules.ts';
import type { WriteArgs, WriteOp, WriteResult } from './write-ops.ts';

/** What a {@link WriteRunner} works with. */
export interface WriteRunnerParts {
  readonly engine: WritableEngine;
  readonly sid: () => bigint | undefined;
  /** What is open here, by handles. */
  readonly open: ReadonlyMap<Ino, number>;
  readonly rules: VolumeRules;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Which inodes a transaction changes, and who waits for it. */
export interface RunOptions {
  /** The first one names it in messages. @see TransactOptions.turns */
  readonly turns: readonly [Ino, ...Ino[]];
  readonly signal: AbortSignal;
}

/** Runs transactions under the volume's present rules, and repairs statistics that they miss. */
export class WriteRunner {
  readonly #parts: WriteRunnerParts;
  readonly #repairing = new Map<Ino, Promise<void>>();
  #rules: VolumeRules;
  #retired: MetaError | undefined;

  constructor(parts: WriteRunnerParts) {
    this.#parts = parts;
    this.#rules = parts.rules;
  }

  /** By what changes are made from now on. */
  get rules(): VolumeRules {
    return this.#rules;
  }

  set rules(rules: VolumeRules) {
    this.#rules = rules;
  }

  /** Lets nothing be changed any more: the volume that was written to is not there. */
  retire(why: MetaError): void {
    this.#retired = why;
  }

  /** @throws MetaError given to {@link retire} */
  check(): void {
    if (this.#retired !== undefined) throw this.#retired;
  }

  /** @see MetaTransactions.transact */
  async run<Op extends WriteOp>(
    op: Op,
    args: WriteArgs<Op>,
    { turns, signal }: RunOptions,
  ): Promise<WriteResult<Op>> {
    this.check();
    const { engine, sid, open } = this.#parts;
    const context = { rules: this.#rules, sid: sid() };
    const { result, staleStats } = await engine.transactions.transact(op, args, {
      ...{ context, open, target: turns[0], turns, signal },
    });
    for (const dir of staleStats) this.#repair(dir);
    return result;
  }

  /** Resolves when no repair is under way. */
  async settle(): Promise<void> {
    await Promise.all(this.#repairing.values());
  }

  /** Nobody waits for it: a directory without statistics has been so before. */
  #repair(dir: Ino): void {
    if (this.#repairing.has(dir)) return;
    const { engine, logger, metrics } = this.#parts;
    const signal = new AbortController().signal;
    const work = async () => {
      try {
        const stats = await sumDirectory(engine, dir, signal);
        this.check();
        await engine.transactions.putDirStats(dir, stats, signal);
      } catch (error) {
        metrics
          .counter({ name: 'dir_stats_errors', help: 'directory statistics that were not made' })
          .add();
        logger.warn({ dir: String(dir), error: String(error) }, 'no statistics of a directory');
      } finally {
        this.#repairing.delete(dir);
      }
    };
    this.#repairing.set(dir, work());
  }
}
