import type { NodeId } from '../../block/node-id.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { Random } from '../../runtime/random.ts';

/** A doubted member is asked again after this, then at doubling intervals. */
const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 5_000;
/** A member that is doubted again so soon after it answered is left alone for a while. */
const RELAPSE_MS = 60_000;

interface Doubt {
  /** Until then an answer does not count. */
  holdUntilMs: number;
  delayMs: number;
  timer: Timer | undefined;
  /** When it ended; kept for a while to recognise a relapse. */
  endedMs: number | undefined;
}

/**
 * Members that this node alone passes over: they did not answer it, and nothing else is known yet.
 * A member that answers but fails again and again stays out for longer each time, up to 5 s.
 */
export class Doubts {
  readonly #parts: {
    readonly clock: Clock;
    readonly random: Random;
    /** A doubted member is to be asked again. Must not throw. */
    readonly ask: (node: NodeId) => void;
  };
  readonly #doubts = new Map<NodeId, Doubt>();

  constructor(parts: { clock: Clock; random: Random; ask: (node: NodeId) => void }) {
    this.#parts = parts;
  }

  has(node: NodeId): boolean {
    const doubt = this.#doubts.get(node);
    return doubt !== undefined && doubt.endedMs === undefined;
  }

  /** @returns whether it was not doubted before */
  begin(node: NodeId): boolean {
    if (this.has(node)) return false;
    const nowMs = this.#parts.clock.nowMs();
    const before = this.#doubts.get(node);
    const relapsed = before?.endedMs !== undefined && nowMs - before.endedMs < RELAPSE_MS;
    const delayMs = relapsed
      ? Math.min(Math.max(before.delayMs * 2, FIRST_DELAY_MS), LAST_DELAY_MS)
      : FIRST_DELAY_MS / 2;
    const holdUntilMs = relapsed ? nowMs + delayMs : nowMs;
    this.#doubts.set(node, { holdUntilMs, delayMs, timer: undefined, endedMs: undefined });
    return true;
  }

  /** The member is to be asked again after a while, which grows. */
  askLater(node: NodeId): void {
    const doubt = this.#doubts.get(node);
    if (doubt === undefined || doubt.endedMs !== undefined) return;
    doubt.delayMs = Math.min(doubt.delayMs * 2, LAST_DELAY_MS);
    this.#arm(node, doubt, doubt.delayMs);
  }

  /** Nobody looks into the member now: if it is still doubted, it will be asked again. */
  askInTime(node: NodeId): void {
    if (this.#doubts.get(node)?.timer === undefined) this.askLater(node);
  }

  /** The member has answered. @returns whether the doubt is over now */
  heard(node: NodeId): boolean {
    const doubt = this.#doubts.get(node);
    if (doubt === undefined || doubt.endedMs !== undefined) return false;
    const leftMs = doubt.holdUntilMs - this.#parts.clock.nowMs();
    if (leftMs > 0) {
      if (doubt.timer === undefined) this.#arm(node, doubt, leftMs);
      return false;
    }
    return this.end(node);
  }

  /** Others say what is true, or the member has answered. @returns whether it was doubted */
  end(node: NodeId): boolean {
    if (!this.has(node)) return false;
    const doubt = this.#doubts.get(node) as Doubt;
    doubt.timer?.cancel();
    doubt.timer = undefined;
    doubt.endedMs = this.#parts.clock.nowMs();
    return true;
  }

  /** It may have been this node that was cut off: all doubted members are to be asked again soon. */
  hurry(): void {
    for (const [node, doubt] of this.#doubts) {
      if (doubt.endedMs !== undefined || doubt.timer === undefined) continue;
      const leftMs = Math.max(0, doubt.holdUntilMs - this.#parts.clock.nowMs());
      this.#arm(node, doubt, leftMs + this.#parts.random.below(FIRST_DELAY_MS));
    }
  }

  /** Doubts nobody any more. */
  stop(): void {
    for (const { timer } of this.#doubts.values()) timer?.cancel();
    this.#doubts.clear();
  }

  /** Forgets doubts that ended long ago. */
  tidy(): void {
    const limitMs = this.#parts.clock.nowMs() - RELAPSE_MS;
    for (const [node, { endedMs }] of this.#doubts) {
      if (endedMs !== undefined && endedMs <= limitMs) this.#doubts.delete(node);
    }
  }

  #arm(node: NodeId, doubt: Doubt, delayMs: number): void {
    const { clock, random, ask } = this.#parts;
    doubt.timer?.cancel();
    // Up to a quarter later, so that a group does not ask a returning member all at once.
    const spreadMs = (delayMs * random.below(250)) / 1000;
    doubt.timer = clock.setTimer(delayMs + spreadMs, () => {
      doubt.timer = undefined;
      ask(node);
    });
  }
}
