import type { Timer } from '../../src/runtime/clock.ts';
import { EventQueue } from './event-queue.ts';
import { type SeededRandom, seededRandom } from './seeded-random.ts';
import { Trace } from './trace.ts';

/** Events that are run in one turn of Node's event loop. More would only save less. */
const EVENTS_PER_TURN = 32;
/**
 * A simulation with more events goes round in circles without time passing: a seed of the swarm has about
 * 2,000.
 */
const EVENTS_MAX = 500_000;

/** How a {@link World} is made, where not as usual. */
export interface WorldOptions {
  /** Gets every line of the trace. */
  readonly onLine?: ((line: string) => void) | undefined;
  /** Events after which it is ended; default: 500,000. */
  readonly eventsMax?: number;
}

/** Why {@link World.run} ended. `limit`: the time was over; `idle`: nothing will ever happen any more. */
export type RunEnd = 'done' | 'limit' | 'idle' | 'too many events';

/**
 * Virtual time. One event happens after the other, and each is over, with all promises that follow
 * from it, before the next one begins: what happens depends on the seed alone.
 */
export class World {
  readonly seed: number;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly #queue = new EventQueue();
  readonly #eventsMax: number;
  #nowMs = 0;
  #events = 0;
  /** What the code under test threw where nobody caught it. */
  readonly bugs: string[] = [];

  constructor(seed: number, { onLine, eventsMax = EVENTS_MAX }: WorldOptions = {}) {
    this.seed = seed;
    this.#eventsMax = eventsMax;
    this.random = seededRandom(seed);
    this.trace = new Trace(() => this.#nowMs, onLine);
  }

  /** Virtual milliseconds since the beginning. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events that happened so far. */
  get events(): number {
    return this.#events;
  }

  /** Events that are still to happen; cancelled ones count until their time. */
  get pending(): number {
    return this.#queue.size;
  }

  /** Calls `run` after a virtual delay. */
  after(delayMs: number, run: () => void): Timer {
    if (Number.isNaN(delayMs)) this.bug(new Error('a delay that is not a number'));
    const event = this.#queue.push(this.#nowMs + (delayMs > 0 ? delayMs : 0), run);
    return {
      cancel: () => {
        event.run = undefined;
      },
    };
  }

  /** A pause of the simulation's own code, which no fault touches. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, resolve);
    });
  }

  /** The code under test broke: an exception that nobody caught. */
  bug(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.bugs.push(text);
    this.trace.note('bug', text.split('\n', 1)[0] ?? '');
  }

  /**
   * Lets time pass until `done` settles.
   *
   * @param limitMs - virtual time at which it ends in any case
   * @returns why it ended
   */
  async run(done: Promise<unknown>, limitMs: number): Promise<RunEnd> {
    let isDone = false;
    const finish = () => {
      isDone = true;
    };
    done.then(finish, finish);
    const onRejection = (error: unknown) => this.bug(error);
    process.on('unhandledRejection', onRejection);
    process.on('uncaughtException', onRejection);
    try {
      return await this.#turns(() => isDone, limitMs);
    } finally {
      process.off('unhandledRejection', onRejection);
      process.off('uncaughtException', onRejection);
    }
  }

  #turns(isDone: () => boolean, limitMs: number): Promise<RunEnd> {
    const end = Promise.withResolvers<RunEnd>();
    let isOver = false;
    const step = () => {
      if (isOver) return;
      const outcome = isDone() ? 'done' : this.#next(limitMs);
      if (outcome === undefined) return;
      isOver = true;
      end.resolve(outcome);
    };
    const turn = () => {
      if (isOver) return;
      // Between two immediates Node runs all that waits for no event: ticks and promises.
      for (let count = 0; count < EVENTS_PER_TURN; count += 1) setImmediate(step);
      setImmediate(turn);
    };
    setImmediate(turn);
    return end.promise;
  }

  #next(limitMs: number): RunEnd | undefined {
    if (this.#events >= this.#eventsMax) return 'too many events';
    const event = this.#queue.pop(limitMs);
    if (event === 'idle') return 'idle';
    if (event === 'later') {
      this.#nowMs = Math.max(this.#nowMs, limitMs);
      return 'limit';
    }
    this.#nowMs = Math.max(this.#nowMs, event.atMs);
    this.#events += 1;
    this.trace.step();
    try {
      event.run();
    } catch (error) {
      this.bug(error);
    }
    return undefined;
  }
}
