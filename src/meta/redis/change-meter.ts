import type { Logger } from '../../runtime/logger.ts';
import type { Counter, Gauge } from '../../runtime/metrics.ts';
import type { Changes } from '../change-stream.ts';
import type { EngineContext } from '../engine-context.ts';

/** Counts and logs how a stream of changes fares. */
export class ChangeMeter {
  readonly #logger: Logger;
  readonly #alive: Gauge;
  readonly #lost: Counter;
  readonly #heard: Counter;
  #isAlive = false;
  #saidRefused = false;

  constructor({ logger, metrics }: EngineContext) {
    this.#logger = logger;
    const named = (name: string, help: string) => ({ name, help });
    this.#alive = metrics.gauge(named('meta_changes_alive', 'whether the server tells of changes'));
    this.#lost = metrics.counter(
      named('meta_changes_lost', 'times that the server stopped to tell of changes'),
    );
    this.#heard = metrics.counter(
      named('meta_changes_heard', 'inodes and directories that the server said were changed'),
    );
  }

  /** Whether there was a proof since the last end. */
  get isAlive(): boolean {
    return this.#isAlive;
  }

  changed({ attrs, names }: Changes): void {
    this.#heard.add(attrs.length + names.length);
  }

  proven(): void {
    if (this.#isAlive) return;
    this.#isAlive = true;
    this.#saidRefused = false;
    this.#alive.set(1);
    this.#logger.info({}, 'the metadata server tells of changes');
  }

  /** @param isRefused - the server does not do this */
  ended(error: Error, isRefused: boolean): void {
    const wasAlive = this.#isAlive;
    this.stopped();
    if (wasAlive) {
      this.#lost.add();
      this.#logger.warn({ error: error.message }, 'the metadata server tells of no changes now');
    } else if (isRefused && !this.#saidRefused) {
      this.#saidRefused = true;
      const what =
        'the metadata server tells of no changes: names and attributes are asked for again';
      this.#logger.info({ error: error.message }, what);
    }
  }

  stopped(): void {
    this.#isAlive = false;
    this.#alive.set(0);
  }
}
