import { LogThrottle } from '../../runtime/log-throttle.ts';
import type { LogFields, Logger } from '../../runtime/logger.ts';
import type { Counter, Gauge } from '../../runtime/metrics.ts';
import type { Changes } from '../change-stream.ts';
import type { EngineContext } from '../engine-context.ts';

/** Between two lines that say the same. */
const LINE_EVERY_MS = 300_000;

/** Counts and logs how a stream of changes fares. */
export class ChangeMeter {
  readonly #logger: Logger;
  readonly #throttle: LogThrottle;
  readonly #alive: Gauge;
  readonly #lost: Counter;
  readonly #heard: Counter;
  #isAlive = false;

  constructor({ clock, logger, metrics }: EngineContext) {
    this.#logger = logger;
    this.#throttle = new LogThrottle(clock, LINE_EVERY_MS);
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
    this.#alive.set(1);
    this.#say({}, 'the metadata server tells of changes');
  }

  ended(error: Error): void {
    if (this.#isAlive) this.#lost.add();
    this.stopped();
    this.#say({ error: error.message }, 'the metadata server tells of no changes');
  }

  stopped(): void {
    this.#isAlive = false;
    this.#alive.set(0);
  }

  #say(fields: LogFields, what: string): void {
    const leftOut = this.#throttle.admit(what);
    if (leftOut !== undefined) this.#logger.info({ ...fields, leftOut }, what);
  }
}
