import type { NodeId } from '../block/node-id.ts';
import type { Clock } from '../runtime/clock.ts';

/** Requests of ours that one peer works on; with more it is passed over. */
export const IN_FLIGHT_MAX = 128;
/** A peer that was busy twice in a row is left alone for this long. */
const BUSY_MS = 200;
/** A peer that went silent is asked again after this, then at doubling intervals, one request a time. */
const SILENT_FIRST_MS = 250;
const SILENT_MOST_MS = 5_000;
/** Silence of this length, from the first request that got no sign, is reported to the membership. */
const REPORT_AFTER_MS = 750;
/** A peer that cannot be talked to because of how it was started is asked again after this. */
const REFUSED_MS = 5_000;
/** A peer that sent wrong bytes is not asked for this long, and twice as long each time again. */
const CORRUPT_FIRST_MS = 60_000;
const CORRUPT_MOST_MS = 3_600_000;

/** Nodes of which something is remembered; the one known for longest goes. Members may never return. */
const NODES_MAX = 8_192;

interface Standing {
  inFlight: number;
  busyUntilMs: number;
  silentUntilMs: number;
  silentStepMs: number;
  silentSinceMs: number | undefined;
  /** A request is finding out whether it is back. */
  isProbed: boolean;
  refusedUntilMs: number;
  corruptUntilMs: number;
  corruptStepMs: number;
}

/** What this node has lately seen of each peer, which decides whether it is asked at all. */
export class OwnerStanding {
  readonly #clock: Clock;
  readonly #nodes = new Map<NodeId, Standing>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether a node is to be asked now. */
  usable(node: NodeId): boolean {
    const standing = this.#nodes.get(node);
    if (standing === undefined) return true;
    const { inFlight, busyUntilMs, silentUntilMs, refusedUntilMs, corruptUntilMs } = standing;
    const untilMs = Math.max(busyUntilMs, silentUntilMs, refusedUntilMs, corruptUntilMs);
    return inFlight < IN_FLIGHT_MAX && this.#clock.nowMs() >= untilMs;
  }

  /** A request to a node begins. @returns ends it; to be called once */
  enter(node: NodeId): () => void {
    const standing = this.#of(node);
    standing.inFlight += 1;
    // One request finds out whether it is back; the others go elsewhere meanwhile.
    if (standing.silentStepMs > 0) {
      standing.silentUntilMs = this.#clock.nowMs() + standing.silentStepMs;
      standing.isProbed = true;
    }
    return () => {
      standing.inFlight -= 1;
      this.#tidy(node, standing);
    };
  }

  /** A node said something, if only that it works. */
  heard(node: NodeId): void {
    const standing = this.#nodes.get(node);
    if (standing === undefined) return;
    standing.silentUntilMs = 0;
    standing.silentStepMs = 0;
    standing.silentSinceMs = undefined;
  }

  /** A node refused for its limits, twice. */
  busy(node: NodeId): void {
    this.#of(node).busyUntilMs = this.#clock.nowMs() + BUSY_MS;
  }

  /** A node will not talk to us, as long as both are what they are. @returns for how long it is not asked */
  refused(node: NodeId): number {
    this.#of(node).refusedUntilMs = this.#clock.nowMs() + REFUSED_MS;
    return REFUSED_MS;
  }

  /**
   * A request got no sign since `sinceMs`.
   *
   * @returns whether it has been silent for so long that the membership should know
   */
  silent(node: NodeId, sinceMs: number): boolean {
    const standing = this.#of(node);
    const nowMs = this.#clock.nowMs();
    standing.silentSinceMs = Math.min(standing.silentSinceMs ?? sinceMs, sinceMs);
    const { silentStepMs } = standing;
    if (silentStepMs === 0) standing.silentStepMs = SILENT_FIRST_MS;
    else if (standing.isProbed) standing.silentStepMs = Math.min(silentStepMs * 2, SILENT_MOST_MS);
    standing.isProbed = false;
    standing.silentUntilMs = Math.max(standing.silentUntilMs, nowMs + standing.silentStepMs);
    return nowMs - standing.silentSinceMs >= REPORT_AFTER_MS;
  }

  /** A node sent wrong bytes. @returns for how long it is not asked */
  corrupt(node: NodeId): number {
    const standing = this.#of(node);
    const stepMs = Math.min(standing.corruptStepMs * 2, CORRUPT_MOST_MS);
    standing.corruptStepMs = Math.max(stepMs, CORRUPT_FIRST_MS);
    standing.corruptUntilMs = this.#clock.nowMs() + standing.corruptStepMs;
    return standing.corruptStepMs;
  }

  /** Nothing is kept of a node of which there is nothing to say. */
  #tidy(node: NodeId, standing: Standing): void {
    const { inFlight, silentStepMs, corruptStepMs, busyUntilMs, refusedUntilMs } = standing;
    const isClean = inFlight === 0 && silentStepMs === 0 && corruptStepMs === 0;
    const untilMs = Math.max(busyUntilMs, refusedUntilMs);
    if (isClean && this.#clock.nowMs() >= untilMs) this.#nodes.delete(node);
  }

  #forgetOne(): void {
    for (const [node, { inFlight }] of this.#nodes) {
      if (inFlight > 0) continue;
      this.#nodes.delete(node);
      return;
    }
  }

  #of(node: NodeId): Standing {
    let standing = this.#nodes.get(node);
    if (standing === undefined) {
      if (this.#nodes.size >= NODES_MAX) this.#forgetOne();
      standing = {
        inFlight: 0,
        busyUntilMs: 0,
        silentUntilMs: 0,
        silentStepMs: 0,
        silentSinceMs: undefined,
        isProbed: false,
        refusedUntilMs: 0,
        corruptUntilMs: 0,
        corruptStepMs: 0,
      };
      this.#nodes.set(node, standing);
    }
    return standing;
  }
}
