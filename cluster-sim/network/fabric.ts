import { flipBit } from '../world/flip-bit.ts';
import type { SeededRandom } from '../world/seeded-random.ts';
import type { World } from '../world/world.ts';
import type { LinkRules } from './link-rules.ts';

/** TCP sends a packet again after this, then after twice as long each time. @see RFC 6298 */
const RESEND_FIRST_MS = 200;
const RESEND_MOST_MS = 3_000;
/** A connection is given up when a packet got no answer for so long: tcp_user_timeout of a patient system. */
const GIVE_UP_MS = 120_000;

/** A packet on its way. */
export interface Packet {
  readonly from: number;
  readonly to: number;
  readonly sizeBytes: number;
  /** It has arrived at the other machine. */
  readonly arrive: () => void;
  /** It never will. */
  readonly giveUp?: () => void;
  /** Whether who sent it still sends it again. */
  readonly isWanted?: () => boolean;
}

/** Carries packets between machines: delay, loss, queues for bandwidth, cut links. */
export class Fabric {
  readonly world: World;
  readonly rules: LinkRules;
  readonly #random: SeededRandom;
  /** When a node's own network card, and a link, have sent all that they were given. */
  readonly #busyUntilMs = new Map<number, number>();

  constructor(world: World, rules: LinkRules) {
    this.world = world;
    this.rules = rules;
    this.#random = world.random.fork('fabric');
  }

  /** Sends a packet, again and again if it is lost. */
  send(packet: Packet): void {
    this.#try(packet, this.#departure(packet), RESEND_FIRST_MS, this.world.nowMs);
  }

  /** How much later a control message comes because others pass it; 0 for most. */
  heldUpMs(from: number, to: number, mostMs: number): number {
    const { reorderRate } = this.rules.quality(from, to);
    return this.#random.chance(reorderRate) ? this.#random.between(0, mostMs) : 0;
  }

  /** Whether a control message arrives twice. */
  isDoubled(from: number, to: number): boolean {
    return this.#random.chance(this.rules.quality(from, to).duplicateRate);
  }

  /** Damages bytes on their way, on links that do so. */
  damage(from: number, to: number, bytes: Uint8Array): void {
    const { flipRate } = this.rules.quality(from, to);
    if (flipRate === 0 || !this.#random.chance(flipRate)) return;
    flipBit(bytes, this.#random);
    this.world.trace.note('segment damaged', from, to);
  }

  /** When the packet has left the sender: after those before it. */
  #departure({ from, to, sizeBytes }: Packet): number {
    const { bytesPerMs } = this.rules.quality(from, to);
    const link = from * 65_536 + to;
    const startMs = Math.max(this.world.nowMs, this.#busyUntilMs.get(link) ?? 0);
    const endMs = startMs + sizeBytes / bytesPerMs;
    this.#busyUntilMs.set(link, endMs);
    return endMs - this.world.nowMs;
  }

  #try(packet: Packet, delayMs: number, resendMs: number, sinceMs: number): void {
    const { from, to, arrive, giveUp, isWanted } = packet;
    const { latencyMs, jitterMs, lossRate } = this.rules.quality(from, to);
    const isLost = this.#random.chance(lossRate) || this.rules.isCut(from, to);
    if (!isLost) {
      this.world.after(delayMs + latencyMs + this.#random.between(0, jitterMs), arrive);
      return;
    }
    if (this.world.nowMs - sinceMs > GIVE_UP_MS) {
      giveUp?.();
      return;
    }
    this.world.after(delayMs + resendMs, () => {
      if (isWanted?.() === false) return;
      this.#try(packet, 0, Math.min(2 * resendMs, RESEND_MOST_MS), sinceMs);
    });
  }
}
