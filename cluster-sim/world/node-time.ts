import type { Clock, Timer } from '../../src/runtime/clock.ts';
import type { World } from './world.ts';

/** How a node's clock differs from the world's. */
export interface ClockSkew {
  /** Wall clock ahead of the world's, in ms. */
  readonly wallOffsetMs: number;
  /** Speed of its clocks, > 0; 1 is the world's. */
  readonly rate: number;
}

/** 2023-11-14, so that wall times look like wall times. */
const WALL_START_MS = 1_700_000_000_000;
/** @see setTimeout of Node */
const TIMER_MS_MIN = 1;

/**
 * Time of one process of a node, from its start to its end. All that reaches the process from
 * outside comes through here: while it is paused (SIGSTOP) it waits, when it is dead it is lost.
 */
export class NodeTime implements Clock {
  readonly #world: World;
  readonly #startMs: number;
  #skew: ClockSkew = { wallOffsetMs: 0, rate: 1 };
  /** What the node's clock showed when the rate last changed, and when that was. */
  #baseMs: number;
  #baseAtMs: number;
  #state: 'running' | 'paused' | 'dead' = 'running';
  readonly #held: (() => void)[] = [];
  #pausedMs = 0;
  #pausedAtMs = 0;

  /** @param startMs - what its monotonic clock shows at first; differs from node to node */
  constructor(world: World, startMs: number) {
    this.#world = world;
    this.#startMs = startMs;
    this.#baseMs = startMs;
    this.#baseAtMs = world.nowMs;
  }

  /** Whether the process exists, paused or not. */
  get isAlive(): boolean {
    return this.#state !== 'dead';
  }

  /** Whether the process runs. */
  get isRunning(): boolean {
    return this.#state === 'running';
  }

  /** How long it stood still so far. */
  get pausedMs(): number {
    const running = this.#state === 'paused' ? this.#world.nowMs - this.#pausedAtMs : 0;
    return this.#pausedMs + running;
  }

  nowMs(): number {
    return this.#baseMs + (this.#world.nowMs - this.#baseAtMs) * this.#skew.rate;
  }

  wallMs(): number {
    return WALL_START_MS + this.nowMs() - this.#startMs + this.#skew.wallOffsetMs;
  }

  setTimer(delayMs: number, run: () => void): Timer {
    // As Node does it: who waits for what rounding leaves of a time would wait in no time for ever.
    return this.after(Math.max(delayMs, TIMER_MS_MIN) / this.#skew.rate, run);
  }

  /**
   * Something reaches the process after `delayMs` of the world's time.
   *
   * @param onLost - called at that time instead when the process is dead
   */
  after(delayMs: number, run: () => void, onLost?: () => void): Timer {
    let isCancelled = false;
    const fire = () => {
      if (isCancelled) return;
      if (this.#state === 'running') run();
      else if (this.#state === 'paused') this.#held.push(fire);
      else onLost?.();
    };
    const timer = this.#world.after(delayMs, fire);
    return {
      cancel: () => {
        isCancelled = true;
        timer.cancel();
      },
    };
  }

  /**
   * Something reaches the process right now.
   *
   * @param onLost - called instead when the process is dead
   */
  reach(run: () => void, onLost?: () => void): void {
    if (this.#state === 'running') run();
    else if (this.#state === 'paused') this.#held.push(() => this.reach(run, onLost));
    else onLost?.();
  }

  /** Changes its clocks from now on; the monotonic one does not jump. */
  skew(skew: ClockSkew): void {
    this.#baseMs = this.nowMs();
    this.#baseAtMs = this.#world.nowMs;
    this.#skew = skew;
  }

  /** The process stands still. */
  pause(): void {
    if (this.#state !== 'running') return;
    this.#state = 'paused';
    this.#pausedAtMs = this.#world.nowMs;
  }

  /** The process goes on; what waited for it happens now, one after the other. */
  resume(): void {
    if (this.#state !== 'paused') return;
    this.#pausedMs = this.pausedMs;
    this.#state = 'running';
    for (const run of this.#held.splice(0)) this.#world.after(0, run);
  }

  /** The process is gone. */
  end(): void {
    this.#state = 'dead';
    for (const run of this.#held.splice(0)) this.#world.after(0, run);
  }
}
