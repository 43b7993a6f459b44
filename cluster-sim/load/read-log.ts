import type { World } from '../world/world.ts';

/** What became of a read. `lost`: the daemon died under it. */
export type ReadOutcome = 'right' | 'wrong' | 'lost' | Error;

/** One read of one program. */
export interface ReadEntry {
  readonly node: number;
  readonly block: string;
  readonly startMs: number;
  readonly pausedBeforeMs: number;
  /** Undefined while it runs. */
  outcome: ReadOutcome | undefined;
  /** How long it took, without the time in which its own daemon was paused. */
  tookMs: number;
}

/** All reads of a simulation. */
export class ReadLog {
  readonly #world: World;
  readonly #running = new Set<ReadEntry>();
  readonly #bad: ReadEntry[] = [];
  #reads = 0;
  #longestMs = 0;
  #longest: ReadEntry | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  /** Reads that have ended. */
  get reads(): number {
    return this.#reads;
  }

  /** Reads that gave wrong bytes or an error. */
  get bad(): readonly ReadEntry[] {
    return this.#bad;
  }

  /** Reads that have not ended. */
  get running(): readonly ReadEntry[] {
    return [...this.#running];
  }

  /** The read that took longest. */
  get longest(): ReadEntry | undefined {
    return this.#longest;
  }

  /** A read begins. @param pausedMs - of its daemon so far */
  begin(node: number, block: string, pausedMs: number): ReadEntry {
    const entry: ReadEntry = {
      node,
      block,
      startMs: this.#world.nowMs,
      pausedBeforeMs: pausedMs,
      outcome: undefined,
      tookMs: 0,
    };
    this.#running.add(entry);
    return entry;
  }

  /** A read is over. */
  end(entry: ReadEntry, outcome: ReadOutcome, pausedMs: number): void {
    this.#running.delete(entry);
    this.#reads += 1;
    entry.outcome = outcome;
    entry.tookMs = this.#world.nowMs - entry.startMs - (pausedMs - entry.pausedBeforeMs);
    if (outcome === 'wrong' || outcome instanceof Error) this.#bad.push(entry);
    if (outcome === 'lost' || entry.tookMs <= this.#longestMs) return;
    this.#longestMs = entry.tookMs;
    this.#longest = entry;
  }
}
