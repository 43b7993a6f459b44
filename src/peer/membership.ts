import type { NodeId } from '../block/node-id.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Random } from '../runtime/random.ts';
import type { AddressBook } from './address-book.ts';
import { type GroupView, type Member, type Membership, PeerError } from './block-exchange.ts';
import type { WireRecord } from './checked-msgpack.ts';
import type { ControlTarget } from './control-plane.ts';
import { toMultiaddr } from './dialable-addresses.ts';
import type { DiscoverySource } from './discovery-source.ts';
import type { GroupControl } from './group-control.ts';
import { encodeHello, OTHERS_MAX, parseHello } from './hello-message.ts';
import { MemberTable } from './member-table.ts';
import type { PeerMetrics } from './peer-metrics.ts';
import { SuspectWatch } from './suspect-watch.ts';

/** JuiceFS refreshes its sessions every 12 s; looking more often finds nothing new. */
export const DEFAULT_DISCOVERY_INTERVAL_MS = 12_000;
const DISCOVERY_TIMEOUT_MS = 5000;
/** A handshake on a busy machine takes some 100 ms. */
const HELLO_TIMEOUT_MS = 2000;
/** How long `start` waits for the first round. */
const JOIN_TIMEOUT_MS = 3000;
const GOODBYE_TIMEOUT_MS = 500;
const PARALLEL_HELLOS = 16;
/** Members asked again in each round, those not heard of for longest first. */
const CHECKS_PER_ROUND = 8;

/** What a membership works with. */
export interface MembershipOptions {
  /** Ourselves; weight 0 when we share nothing. Addresses may be empty until `start`. */
  readonly self: () => Member;
  readonly control: GroupControl;
  readonly book: AddressBook;
  /** Undefined: only `peers` and those who say hello. */
  readonly discovery: DiscoverySource | undefined;
  /** Addresses of nodes to join, as `toMultiaddr` understands them. */
  readonly peers: readonly string[];
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: PeerMetrics;
  readonly logger: Logger;
  /** Called when a member has left for good. */
  readonly onGone: (node: NodeId) => void;
}

/** Follows the group by discovery, hellos and failures. */
export class GroupMembership implements Membership {
  readonly #options: MembershipOptions;
  readonly #table: MemberTable;
  readonly #suspects: SuspectWatch;
  readonly #peers: readonly string[];
  /** Who answered at a configured address. */
  readonly #answeredAt = new Map<string, NodeId>();
  #listed: ReadonlySet<NodeId> = new Set();
  #timer: Timer | undefined;
  #stopping = new AbortController();
  #running = false;

  /** @throws AddressError when an address in `peers` makes no sense */
  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#peers = options.peers.map(toMultiaddr);
    this.#table = new MemberTable(options.self());
    this.#suspects = new SuspectWatch({
      clock: options.clock,
      random: options.random,
      check: (node) => this.#check(node),
      isListed: (node) => this.#listed.has(node),
      forget: (node) => this.#forget(node),
    });
    options.control.on('hello', (from, message) => this.#onHello(from, message));
    options.control.on('goodbye', (from) => this.#onGoodbye(from));
    this.#table.subscribe(({ members }) => options.metrics.members.set(members.length));
  }

  current(): GroupView {
    return this.#table.view;
  }

  subscribe(onChange: (view: GroupView) => void): () => void {
    return this.#table.subscribe(onChange);
  }

  /** Joins the group; resolves after the first round, or 3 s, even when nobody is found. */
  async start(signal?: AbortSignal): Promise<void> {
    this.#stopping = new AbortController();
    this.#running = true;
    this.#table.setSelf(this.#options.self());
    this.#options.metrics.members.set(this.#table.view.members.length);
    const options = { what: 'joining the group', timeoutMs: JOIN_TIMEOUT_MS, signal };
    try {
      await withDeadline(this.#options.clock, options, () => this.#round());
    } catch (error) {
      if (signal?.aborted) {
        await this.stop();
        throw error;
      }
      this.#options.logger.warn({ err: error }, 'the group is joined later');
    }
  }

  /** Says goodbye. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    this.#timer?.cancel();
    this.#suspects.stop();
    const present = this.#table.known().filter(({ suspected }) => !suspected);
    this.#stopping.abort(new PeerError('unreachable', 'the peer host stops'));
    const { clock, logger } = this.#options;
    const options = { what: 'saying goodbye', timeoutMs: GOODBYE_TIMEOUT_MS };
    const goodbyes = Promise.allSettled(present.map(({ member }) => this.#goodbye(member)));
    await withDeadline(clock, options, () => goodbyes).catch((error: unknown) => {
      logger.debug({ err: error }, 'not everyone heard the goodbye');
    });
  }

  /**
   * A request to a member failed: it leaves the view until it answers again. Is asked after 0.5 s,
   * then at doubling intervals up to 5 s.
   */
  reportFailure(node: NodeId): void {
    if (!this.#running || !this.#table.suspect(node)) return;
    this.#options.metrics.suspicions.add();
    this.#options.logger.warn({ peer: node }, 'a member is suspected');
    this.#suspects.watch(node);
  }

  /** The last connection to a member ended: it may have crashed, which one question shows. */
  connectionLost(node: NodeId): void {
    const known = this.#table.get(node);
    if (!this.#running || known === undefined || known.suspected) return;
    this.#hello(targetOf(known.member)).catch((error: unknown) => {
      this.#options.logger.info({ peer: node, err: error }, 'a member is gone');
      this.reportFailure(node);
    });
  }

  /** Tells everyone that our weight or addresses are now what `self` says. */
  async announce(): Promise<void> {
    this.#table.setSelf(this.#options.self());
    await this.#helloAll(this.#table.known().map(({ member }) => targetOf(member)));
  }

  async #round(): Promise<void> {
    this.#timer?.cancel();
    try {
      await this.#roundOnce();
    } finally {
      this.#armTimer();
    }
  }

  async #roundOnce(): Promise<void> {
    const found = await this.#discover();
    if (found !== undefined) await this.#removeUnlisted(found);
    const strangers = (found ?? []).filter(({ nodeId }) => this.#isNew(nodeId)).map(targetOf);
    await this.#helloAll([...strangers, ...this.#unansweredPeers(), ...this.#leastHeard()]);
  }

  async #discover(): Promise<readonly Member[] | undefined> {
    const { discovery, clock, logger, metrics } = this.#options;
    if (discovery === undefined) return undefined;
    const signal = this.#stopping.signal;
    const options = { what: 'discovery', timeoutMs: DISCOVERY_TIMEOUT_MS, signal };
    try {
      const found = await withDeadline(clock, options, (inner) => discovery.list(inner));
      this.#listed = new Set(found.map(({ nodeId }) => nodeId));
      return found;
    } catch (error) {
      // Who was there stays: an unreachable database must not break up the group.
      metrics.discoveryErrors.add();
      logger.warn({ err: error }, 'discovery failed');
      return undefined;
    }
  }

  /** Members whose session is gone stay only if they still answer. */
  async #removeUnlisted(found: readonly Member[]): Promise<void> {
    const listed = new Set(found.map(({ nodeId }) => nodeId));
    const gone = this.#table
      .known()
      .filter(({ member, suspected }) => !suspected && !listed.has(member.nodeId));
    const oldest = gone.sort((a, b) => a.heardMs - b.heardMs).slice(0, PARALLEL_HELLOS);
    const checks = oldest.map(async ({ member }) => {
      if (!(await this.#check(member.nodeId))) this.#forget(member.nodeId);
    });
    await Promise.all(checks);
  }

  #isNew(node: NodeId): boolean {
    return node !== this.#table.self.nodeId && this.#table.get(node) === undefined;
  }

  #unansweredPeers(): ControlTarget[] {
    const missing = this.#peers.filter((address) => {
      const node = this.#answeredAt.get(address);
      return node === undefined || this.#isNew(node);
    });
    return missing.map((address) => ({ nodeId: undefined, addresses: [address] }));
  }

  #leastHeard(): ControlTarget[] {
    const present = this.#table.known().filter(({ suspected }) => !suspected);
    present.sort((a, b) => a.heardMs - b.heardMs);
    return present.slice(0, CHECKS_PER_ROUND).map(({ member }) => targetOf(member));
  }

  /** Says hello to all, a few at a time. Who does not answer is left out, or suspected. */
  async #helloAll(targets: readonly ControlTarget[]): Promise<void> {
    const queue = [...targets];
    const seen = new Set(queue.map(({ nodeId }) => nodeId));
    const work = async () => {
      for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
        if (this.#stopping.signal.aborted) return;
        for (const other of await this.#helloOrReport(target)) {
          if (other.nodeId === undefined || seen.has(other.nodeId)) continue;
          seen.add(other.nodeId);
          if (this.#isNew(other.nodeId)) queue.push(other);
        }
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_HELLOS }, work));
  }

  async #helloOrReport(target: ControlTarget): Promise<readonly ControlTarget[]> {
    try {
      return await this.#hello(target);
    } catch (error) {
      const peer = target.nodeId ?? target.addresses.join();
      this.#options.logger.info({ peer, err: error }, 'a node did not answer our hello');
      if (target.nodeId !== undefined) this.reportFailure(target.nodeId);
      return [];
    }
  }

  /** @returns whom the other node knows @throws PeerError */
  async #hello(target: ControlTarget): Promise<readonly ControlTarget[]> {
    const { control, logger } = this.#options;
    const message = { type: 'hello', ...this.#describe() };
    const signal = this.#stopping.signal;
    const options = { timeoutMs: HELLO_TIMEOUT_MS, signal, dropSilent: true };
    const answer = await control.ask(target, message, options);
    const hello = parseHello(answer.reply);
    if (target.nodeId === undefined) {
      for (const address of target.addresses) this.#answeredAt.set(address, answer.from);
    } else if (target.nodeId !== answer.from) {
      throw new PeerError('protocol', `${answer.from} answers instead of ${target.nodeId}`);
    }
    if (this.#isNew(answer.from)) logger.info({ peer: answer.from }, 'a member was found');
    this.#hear({ ...hello, nodeId: answer.from });
    return hello.others;
  }

  async #check(node: NodeId): Promise<boolean> {
    const known = this.#table.get(node);
    if (known === undefined) return false;
    try {
      await this.#hello(targetOf(known.member));
      return true;
    } catch (error) {
      this.#options.logger.debug({ peer: node, err: error }, 'a member does not answer');
      return false;
    }
  }

  #onHello(from: NodeId, message: WireRecord): WireRecord {
    const hello = parseHello(message);
    if (!this.#running) throw new PeerError('failed', 'this node is not in the group');
    if (this.#isNew(from)) this.#options.logger.info({ peer: from }, 'a member joined');
    this.#hear({ ...hello, nodeId: from });
    return this.#describe();
  }

  #hear({ nodeId, addresses, weight }: Member): void {
    if (!this.#running) return;
    this.#options.book.set(nodeId, addresses);
    this.#suspects.clear(nodeId);
    this.#table.hear({ nodeId, addresses, weight }, this.#options.clock.nowMs());
  }

  #onGoodbye(from: NodeId): WireRecord {
    this.#options.logger.info({ peer: from }, 'a member left');
    this.#forget(from);
    return {};
  }

  async #goodbye(member: Member): Promise<void> {
    const options = { timeoutMs: GOODBYE_TIMEOUT_MS };
    await this.#options.control.ask(targetOf(member), { type: 'goodbye' }, options);
  }

  #forget(node: NodeId): void {
    this.#suspects.forget(node);
    this.#options.book.delete(node);
    this.#table.remove(node);
    this.#options.onGone(node);
  }

  /** What a hello says: ourselves, and a few others at random. */
  #describe(): WireRecord {
    const others = this.#table.view.members.filter(({ nodeId }) => this.#table.get(nodeId));
    const from = others.length > OTHERS_MAX ? this.#options.random.below(others.length) : 0;
    return encodeHello(this.#table.self, [...others.slice(from), ...others.slice(0, from)]);
  }

  #armTimer(): void {
    if (!this.#running) return;
    const { intervalMs, random, clock, logger } = this.#options;
    // Between 0.75 and 1.25 of the interval, so that nodes started together spread out.
    const delayMs = intervalMs * (0.75 + random.below(1000) / 2000);
    this.#timer = clock.setTimer(delayMs, () => {
      this.#round().catch((error: unknown) => logger.error({ err: error }, 'a round broke'));
    });
  }
}

function targetOf({ nodeId, addresses }: Member): ControlTarget {
  return { nodeId, addresses };
}
