import type { NodeId } from '../../src/block/node-id.ts';
import { AddressBook } from '../../src/peer/address-book.ts';
import { type Member, PeerError } from '../../src/peer/block-exchange.ts';
import { packRecord } from '../../src/peer/checked-msgpack.ts';
import type { ControlTarget } from '../../src/peer/control-plane.ts';
import type { AskOptions, GossipHandler, GossipLink } from '../../src/peer/gossip/gossip-link.ts';
import {
  encodeGossip,
  type GossipMessage,
  type ProbeQuestion,
} from '../../src/peer/gossip/gossip-message.ts';
import type { MemberRecord } from '../../src/peer/gossip/member-record.ts';
import { GroupMembership } from '../../src/peer/membership.ts';
import { HealthBook } from '../../src/peer/peer-health.ts';
import { peerMetrics } from '../../src/peer/peer-metrics.ts';
import { waitWithin } from '../../src/runtime/deadline.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { nodeIdOf } from '../node/node-ids.ts';
import { NodeTime } from '../world/node-time.ts';
import { World } from '../world/world.ts';

/** What noise and yamux add to a message, about. */
const ENVELOPE_BYTES = 200;
const LATENCY_MS = 0.2;
/** How long traffic at rest is counted. */
const REST_MS = 10_000;
const LOOK_MS = 50;
const LIMIT_MS = 60_000;
/** A group that has been there for a while, or in which news has made its rounds. */
const SETTLE_MS = 3_000;
/** Nodes that join, that die, and that come back, one after the other: each by its own chance. */
const CHANGES = 5;
/** How long somebody is cut off beyond the moment at which all have passed it over. */
const AWAY_MS = 10_000;

/** How a group follows changes, and what that costs. */
export interface GroupScale {
  readonly nodes: number;
  /** From the first hello of a new node until all nodes have it in their ring; the longest of five. */
  readonly joinMs: number;
  /** From the death of a node until all have passed it over; the longest of five. */
  readonly deathMs: number;
  /**
   * From the moment at which a machine that was cut off for more than ten seconds reaches the others again
   * until it and all others have each other in their rings; the longest of five.
   */
  readonly returnMs: number;
  /** At rest, of one node: what it sends, questions and answers. */
  readonly restBytesPerSecond: number;
  readonly restMessagesPerSecond: number;
}

interface Seat {
  readonly number: number;
  readonly member: Member;
  readonly membership: GroupMembership;
  handler: GossipHandler | undefined;
  /** Neither heard nor hearing: dead, or cut off. */
  isAway: boolean;
}

/** Real memberships, one for each node, on one clock; their messages are handed over, and counted. */
export class GroupScaleRun {
  readonly #world: World;
  readonly #seats = new Map<NodeId, Seat>();
  readonly #size: number;
  #isCounting = false;
  #messages = 0;
  #bytes = 0;

  constructor(nodes: number, seed: number) {
    this.#world = new World(seed, { eventsMax: Number.POSITIVE_INFINITY });
    this.#size = nodes;
  }

  /** @throws Error when the group does not come to agree */
  async run(): Promise<GroupScale> {
    const seats = Array.from({ length: this.#size }, (_, number) => this.#seat(number, undefined));
    await this.#do(Promise.all(seats.map(({ membership }) => membership.start())));
    // So far each knows itself only.
    const records = seats.flatMap(({ membership }) => membership.roster());
    for (const seat of seats) this.#introduce(seat, records);
    await this.#do(this.#world.sleep(SETTLE_MS));
    const rest = await this.#rest();
    let [joinMs, deathMs, returnMs] = [0, 0, 0];
    // Half of a small group stays as it was: those whom newcomers ask.
    const changes = Math.min(CHANGES, this.#size >> 1);
    for (let change = 0; change < changes; change += 1) {
      const [asked, victim] = [seats[change] as Seat, seats.at(-1 - change) as Seat];
      joinMs = Math.max(joinMs, await this.#join(this.#size + change, asked));
      deathMs = Math.max(deathMs, await this.#silence(victim));
      returnMs = Math.max(returnMs, await this.#return(victim));
      deathMs = Math.max(deathMs, await this.#silence(victim));
      await this.#bury(victim);
    }
    return { nodes: this.#size, joinMs, deathMs, returnMs, ...rest };
  }

  /** @returns until all nodes have the new one in their ring */
  async #join(number: number, contact: Seat): Promise<number> {
    const newcomer = this.#seat(number, contact.member.addresses);
    const { nodeId } = newcomer.member;
    const tookMs = await this.#until(newcomer.membership.start(), ({ members }) =>
      members.some((member) => member.nodeId === nodeId),
    );
    await this.#do(this.#world.sleep(SETTLE_MS));
    return tookMs;
  }

  /** @returns until all others have passed the node over */
  async #silence(victim: Seat): Promise<number> {
    victim.isAway = true;
    const { nodeId } = victim.member;
    return await this.#until(Promise.resolve(), ({ members }) =>
      members.every((member) => member.nodeId !== nodeId),
    );
  }

  /** @returns until the node that was cut off and all others have each other in their rings */
  async #return(victim: Seat): Promise<number> {
    await this.#do(this.#world.sleep(AWAY_MS));
    victim.isAway = false;
    const tookMs = await this.#until(
      Promise.resolve(),
      ({ members }) => members.length === this.#seats.size,
    );
    await this.#do(this.#world.sleep(SETTLE_MS));
    return tookMs;
  }

  /** A node that is away does not come back. */
  async #bury(victim: Seat): Promise<void> {
    this.#seats.delete(victim.member.nodeId);
    await this.#do(victim.membership.stop());
    await this.#do(this.#world.sleep(SETTLE_MS));
  }

  /** Everybody knows everybody: a group that has been there for a while. */
  #introduce(seat: Seat, records: readonly MemberRecord[]): void {
    const other = records[seat.number === 0 ? 1 : 0] as MemberRecord;
    seat.handler?.hear(other.member.nodeId, {
      self: other,
      records,
      hash: { low: 0, high: 0 },
      epoch: 1,
      wants: undefined,
      covers: [],
    });
  }

  async #rest() {
    this.#isCounting = true;
    await this.#do(this.#world.sleep(REST_MS));
    this.#isCounting = false;
    const seconds = (REST_MS / 1000) * this.#size;
    return {
      restBytesPerSecond: this.#bytes / seconds,
      restMessagesPerSecond: this.#messages / seconds,
    };
  }

  async #until(
    work: Promise<void>,
    isSeen: (view: ReturnType<GroupMembership['current']>) => boolean,
  ): Promise<number> {
    const sinceMs = this.#world.nowMs;
    const seats = [...this.#seats.values()].filter(({ isAway }) => !isAway);
    // Views are never changed: each is looked at once.
    const known = new WeakMap<object, boolean>();
    const isSeenBy = ({ membership }: Seat) => {
      const view = membership.current();
      const isIn = known.get(view.members) ?? isSeen(view);
      known.set(view.members, isIn);
      return isIn;
    };
    const look = async () => {
      while (!seats.every(isSeenBy)) {
        await this.#world.sleep(LOOK_MS);
      }
      const tookMs = this.#world.nowMs - sinceMs;
      await work;
      return tookMs;
    };
    return await this.#do(look());
  }

  async #do<T>(work: Promise<T>): Promise<T> {
    const outcome = await this.#world.run(work, this.#world.nowMs + LIMIT_MS);
    const [bug] = this.#world.bugs;
    if (outcome !== 'done' || bug !== undefined) throw new Error(`group: ${bug ?? outcome}`);
    return await work;
  }

  #seat(number: number, peers: readonly string[] | undefined): Seat {
    const time = new NodeTime(this.#world, 0);
    const random = this.#world.random.fork(`member ${number}`);
    const nodeId = nodeIdOf(number);
    const addresses = [`/ip4/10.${number >> 16}.${(number >> 8) & 255}.${number & 255}/tcp/4001`];
    const member: Member = { nodeId, addresses, weight: 100, startedAtMs: 1 };
    const seat: Omit<Seat, 'membership'> = { number, member, handler: undefined, isAway: false };
    const membership = new GroupMembership({
      self: () => member,
      link: this.#link(seat as Seat, time),
      book: new AddressBook(),
      health: new HealthBook(),
      discovery: undefined,
      peers: peers ?? [],
      intervalMs: 12_000,
      clock: time,
      random,
      metrics: peerMetrics(memoryMetrics()),
      logger: silentLogger,
      onGone: () => undefined,
    });
    const whole: Seat = Object.assign(seat, { membership });
    this.#seats.set(nodeId, whole);
    return whole;
  }

  #link(seat: Seat, time: NodeTime): GossipLink & { handle(handler: GossipHandler): void } {
    const ask = <T>(
      to: ControlTarget,
      options: AskOptions,
      answer: (other: Seat) => T | Promise<T>,
    ) =>
      waitWithin(time, { what: 'a message', ...options }, this.#carry(seat, to, answer)).catch(
        (cause: unknown) => {
          throw new PeerError('timeout', 'no answer', { retryable: true, cause });
        },
      );
    return {
      handle: (handler) => {
        seat.handler = handler;
      },
      tell: async (to, message, options) => {
        this.#count(message);
        const { from, reply } = await ask(to, options, (other) => {
          const answer = (other.handler as GossipHandler).hear(seat.member.nodeId, message);
          this.#count(answer);
          return answer;
        });
        return { from, message: reply };
      },
      probe: async (to, question: ProbeQuestion, options) => {
        this.#add(100);
        const { reply } = await ask(to, options, (other) =>
          (other.handler as GossipHandler).probe(seat.member.nodeId, question),
        );
        this.#add(20);
        return reply;
      },
    };
  }

  async #carry<T>(seat: Seat, to: ControlTarget, answer: (other: Seat) => T | Promise<T>) {
    await this.#world.sleep(LATENCY_MS);
    const other = this.#seatOf(to);
    if (other === undefined || other.isAway || seat.isAway) return await unheard();
    const reply = await answer(other);
    await this.#world.sleep(LATENCY_MS);
    return { from: other.member.nodeId, reply };
  }

  #seatOf({ nodeId, addresses }: ControlTarget): Seat | undefined {
    if (nodeId !== undefined) return this.#seats.get(nodeId);
    return [...this.#seats.values()].find(({ member }) => member.addresses[0] === addresses[0]);
  }

  #count(message: GossipMessage): void {
    // What is written takes a quarter of all time.
    if (!this.#isCounting) return;
    this.#add(packRecord({ type: 'gossip', ...encodeGossip(message) }).byteLength);
  }

  #add(sizeBytes: number): void {
    if (!this.#isCounting) return;
    this.#messages += 1;
    this.#bytes += sizeBytes + ENVELOPE_BYTES;
  }
}

/** Who asks waits until its own deadline. */
function unheard(): Promise<never> {
  return new Promise(() => undefined);
}
