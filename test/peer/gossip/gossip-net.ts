import { type NodeId, toNodeId } from '../../../src/block/node-id.ts';
import { AddressBook } from '../../../src/peer/address-book.ts';
import { type Member, PeerError } from '../../../src/peer/block-exchange.ts';
import { packRecord, unpackRecord } from '../../../src/peer/checked-msgpack.ts';
import type { ControlTarget } from '../../../src/peer/control-plane.ts';
import type { AskOptions, GossipHandler } from '../../../src/peer/gossip/gossip-link.ts';
import {
  encodeGossip,
  type GossipMessage,
  parseGossip,
  type ProbeQuestion,
} from '../../../src/peer/gossip/gossip-message.ts';
import { GroupMembership } from '../../../src/peer/membership.ts';
import { HealthBook } from '../../../src/peer/peer-health.ts';
import { peerMetrics } from '../../../src/peer/peer-metrics.ts';
import type { Clock } from '../../../src/runtime/clock.ts';
import { DeadlineError, sleep, withDeadline } from '../../../src/runtime/deadline.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { type MemoryMetrics, memoryMetrics } from '../../../src/runtime/metrics.ts';
import type { Random } from '../../../src/runtime/random.ts';
import { seeded } from '../../mesh/mesh-double.ts';
import { VirtualClock } from '../../mesh/virtual-clock.ts';

/** A member that runs the real membership over the network of a {@link GossipNet}. */
export interface NetNode {
  readonly id: NodeId;
  readonly membership: GroupMembership;
  readonly metrics: MemoryMetrics;
  /** `paused`: it takes no messages, and nobody hears that; `crashed`: connections are refused. */
  mood: 'well' | 'paused' | 'crashed';
  weight: number;
  /** Bytes of messages that it has sent, questions and answers, as MessagePack. */
  sentBytes: number;
  sentMessages: number;
}

interface Place {
  node: NetNode;
  handler: GossipHandler | undefined;
}

/** Members in one process on one virtual clock, with a network that loses, delays, repeats and cuts. */
export class GossipNet {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly places = new Map<NodeId, Place>();
  /** Who finds whom in the metadata. */
  listed: NodeId[] = [];
  listings = 0;
  /** Of each direction of an exchange, 0 … 1. */
  lossRate = 0;
  repeatRate = 0;
  delayMsMax = 5;
  /** Connections that lead nowhere, as `from>to`, until who asks on one gives it up. */
  readonly deadConnections = new Set<string>();
  /** Whether messages pass from one to the other. */
  passes: (from: NodeId, to: NodeId) => boolean = () => true;
  /** Messages go through the codec; without it records are shared, as large groups need. */
  readonly #isEncoded: boolean;

  constructor(options: { seed: number; isEncoded?: boolean }) {
    this.random = seeded(options.seed);
    this.#isEncoded = options.isEncoded ?? true;
  }

  get nodes(): NetNode[] {
    return [...this.places.values()].map(({ node }) => node);
  }

  /** Those that run. */
  get live(): NetNode[] {
    return this.nodes.filter(({ mood }) => mood === 'well');
  }

  /** Makes a member; under a known name it is the next process of that node. */
  add(
    name: string,
    options: { peers?: string[]; isListed?: boolean; intervalMs?: number; skewMs?: number } = {},
  ): NetNode {
    const id = toNodeId(name);
    const metrics = memoryMetrics();
    const clock: Clock = {
      nowMs: () => this.clock.nowMs(),
      wallMs: () => this.clock.wallMs() + (options.skewMs ?? 0),
      setTimer: (delayMs, run) => this.clock.setTimer(delayMs, run),
    };
    const startedAtMs = clock.wallMs();
    const random = seeded(this.random.below(2 ** 32));
    const counts = { weight: 100, sentBytes: 0, sentMessages: 0 };
    const node: Omit<NetNode, 'membership'> = { id, metrics, mood: 'well', ...counts };
    const place: Place = { node: node as NetNode, handler: undefined };
    const self = (): Member => ({
      nodeId: id,
      addresses: [addressOf(name)],
      weight: node.weight,
      zone: undefined,
      version: '1.0.0',
      startedAtMs,
    });
    const membership = new GroupMembership({
      self,
      link: {
        handle: (handler) => void (place.handler = handler),
        tell: (to, message, ask) => this.#tell(place, to, { message, ask }),
        probe: (to, question, ask) => this.#probe(place, to, { question, ask }),
      },
      book: new AddressBook(),
      health: new HealthBook(),
      discovery: options.isListed === true ? { list: async () => this.#list() } : undefined,
      peers: (options.peers ?? []).map(addressOf),
      intervalMs: options.intervalMs ?? 12_000,
      clock,
      random,
      metrics: peerMetrics(metrics),
      logger: silentLogger,
      onGone: () => undefined,
    });
    Object.assign(node, { membership });
    this.places.set(id, place);
    if (options.isListed === true && !this.listed.includes(id)) this.listed.push(id);
    return place.node;
  }

  /** Ends a member without a word. */
  crash(node: NetNode): void {
    node.mood = 'crashed';
    // What the process would have done is lost with it.
    void node.membership.stop();
  }

  /** Lets time pass until `isDone`, looked at every 10 ms. @returns how long it took */
  async until(what: string, isDone: () => boolean, limitMs: number): Promise<number> {
    const startMs = this.clock.nowMs();
    while (!isDone()) {
      if (this.clock.nowMs() - startMs > limitMs) throw new Error(`not in ${limitMs} ms: ${what}`);
      await this.clock.pass(10);
    }
    return this.clock.nowMs() - startMs;
  }

  /** Whether all that run see exactly each other, as one and the same view. */
  isSettled(): boolean {
    const nodes = this.live;
    const views = nodes.map(({ membership }) => membership.current());
    const { epoch } = views[0] ?? {};
    if (!views.every((view) => view.epoch === epoch)) return false;
    if (!views.every(({ members }) => members.length === nodes.length)) return false;
    const expected = idsOf(nodes);
    return nodes.every((node) => seenBy(node) === expected);
  }

  async #list(): Promise<Member[]> {
    this.listings += 1;
    return this.listed.map((nodeId) => ({ nodeId, addresses: [addressOf(nodeId)], weight: 1 }));
  }

  #tell(from: Place, to: ControlTarget, what: { message: GossipMessage; ask: AskOptions }) {
    return this.#ask(from, to, what.ask, async (place, handler) => {
      const question = this.#carry(from, what.message);
      if (this.#happens(this.repeatRate)) this.#repeat(from, handler, question);
      const answer = this.#carry(place, handler.hear(from.node.id, question));
      return { from: place.node.id, message: answer };
    });
  }

  #probe(from: Place, to: ControlTarget, what: { question: ProbeQuestion; ask: AskOptions }) {
    return this.#ask(from, to, what.ask, (_, handler) =>
      handler.probe(from.node.id, what.question),
    );
  }

  async #ask<T>(
    from: Place,
    to: ControlTarget,
    { timeoutMs, signal, dropSilent }: AskOptions,
    work: (place: Place, handler: GossipHandler) => Promise<T>,
  ): Promise<T> {
    const id = to.nodeId ?? toNodeId(/^\/dns4\/(\w+)\//.exec(to.addresses[0] ?? '')?.[1] ?? '');
    const connection = `${from.node.id}>${id}`;
    try {
      return await withDeadline(this.clock, { what: id, timeoutMs, signal }, async (timed) => {
        if (from.node.mood === 'crashed') throw new PeerError('failed', 'it does not run any more');
        const isOnDead = to.nodeId !== undefined && this.deadConnections.has(connection);
        if (isOnDead) await sleep(this.clock, 3_600_000, timed);
        await this.#travel(from.node.id, id, timed);
        const place = this.places.get(id);
        if (place?.handler === undefined || place.node.mood === 'crashed') {
          throw new PeerError('unreachable', `${id} refuses connections`);
        }
        const result = await work(place, place.handler);
        await this.#travel(id, from.node.id, timed);
        return result;
      });
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
      if (dropSilent === true) this.deadConnections.delete(connection);
      throw new PeerError('timeout', error.message);
    }
  }

  async #travel(from: NodeId, to: NodeId, signal: AbortSignal): Promise<void> {
    await sleep(this.clock, 1 + this.random.below(this.delayMsMax), signal);
    const isAway = [from, to].some((id) => this.places.get(id)?.node.mood === 'paused');
    const isLost = isAway || !this.passes(from, to) || this.#happens(this.lossRate);
    if (isLost) await sleep(this.clock, 3_600_000, signal);
  }

  /** The same question comes again, later. */
  #repeat(from: Place, handler: GossipHandler, question: GossipMessage): void {
    this.clock.setTimer(this.random.below(2_000), () => {
      try {
        handler.hear(from.node.id, question);
      } catch (error) {
        if (!(error instanceof PeerError)) throw error;
      }
    });
  }

  #carry({ node }: Place, message: GossipMessage): GossipMessage {
    node.sentMessages += 1;
    if (!this.#isEncoded) return message;
    const bytes = packRecord(encodeGossip(message));
    node.sentBytes += bytes.byteLength;
    return parseGossip(unpackRecord(bytes));
  }

  #happens(rate: number): boolean {
    return rate > 0 && this.random.below(1_000_000) < rate * 1_000_000;
  }
}

/** Members that a node counts on, by name. */
export function seenBy({ membership }: NetNode): string {
  return membership
    .current()
    .members.map(({ nodeId }) => nodeId)
    .join();
}

/** The names of nodes, as {@link seenBy} gives them. */
export function idsOf(nodes: readonly NetNode[]): string {
  return nodes
    .map(({ id }) => id as string)
    .toSorted()
    .join();
}

function addressOf(name: string): string {
  return `/dns4/${name}/tcp/1`;
}
