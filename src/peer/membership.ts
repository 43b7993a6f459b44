import type { NodeId } from '../block/node-id.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Random } from '../runtime/random.ts';
import type { AddressBook } from './address-book.ts';
import { type GroupView, type Member, type Membership, PeerError } from './block-exchange.ts';
import { toMultiaddr } from './dialable-addresses.ts';
import type { DiscoverySource } from './discovery-source.ts';
import { Bootstrap } from './gossip/bootstrap.ts';
import { FailureDetector } from './gossip/failure-detector.ts';
import { Gossip } from './gossip/gossip.ts';
import type { GossipHandler, GossipLink } from './gossip/gossip-link.ts';
import type { GossipMessage, ProbeQuestion } from './gossip/gossip-message.ts';
import { isPresent, type MemberNews, type MemberRecord } from './gossip/member-record.ts';
import { MemberTable } from './gossip/member-table.ts';
import { ViewKeeper } from './gossip/view-keeper.ts';
import type { HealthBook, PeerState } from './peer-health.ts';
import type { PeerMetrics } from './peer-metrics.ts';

/** JuiceFS refreshes its sessions every 12 s; looking more often finds nothing new. */
export const DEFAULT_DISCOVERY_INTERVAL_MS = 12_000;
/** How long `start` waits for the first contact. */
const JOIN_TIMEOUT_MS = 3_000;
const GOODBYE_TIMEOUT_MS = 500;
/** Members that are told goodbye; they tell the others. */
const GOODBYES_MAX = 16;
/** Each member asks one other so often. */
const TICK_MS = 1_000;
/** After a connection ended, so that of many that notice it some hear of it before they ask. */
const LOST_SPREAD_MS = 50;
/** So many of the group look after a member whose connection ended; in large groups idle ones are closed. */
const LOST_LOOKERS = 16;

/** What a membership works with. */
export interface MembershipOptions {
  /** Ourselves; weight 0 when we share nothing. Addresses may be empty until `start`. */
  readonly self: () => Member;
  readonly link: GossipLink & { handle(handler: GossipHandler): void };
  readonly book: AddressBook;
  readonly health: HealthBook;
  /** Undefined: only `peers` and those who come to us. */
  readonly discovery: DiscoverySource | undefined;
  /** Addresses of nodes to join, as `toMultiaddr` understands them. */
  readonly peers: readonly string[];
  /** Between two looks at `discovery` of the whole group. */
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: PeerMetrics;
  readonly logger: Logger;
  /** Called when a member has left, is dead, or runs anew under its name. */
  readonly onGone: (node: NodeId) => void;
}

/**
 * Follows the group by gossip: {@link Bootstrap} finds the first members, {@link Gossip} spreads what
 * is known of them, {@link FailureDetector} finds out who is gone.
 */
export class GroupMembership implements Membership {
  readonly #options: MembershipOptions;
  readonly #self: NodeId;
  readonly #table = new MemberTable();
  readonly #gossip: Gossip;
  readonly #detector: FailureDetector;
  readonly #bootstrap: Bootstrap;
  readonly #views: ViewKeeper;
  #timer: Timer | undefined;
  #stopping = new AbortController();
  #running = false;

  /** @throws AddressError when an address in `peers` makes no sense */
  constructor(options: MembershipOptions) {
    this.#options = options;
    const member = options.self();
    this.#self = member.nodeId;
    this.#table.apply({ member, incarnation: 0, state: 'alive' });
    const table = this.#table;
    const shared = { ...options, self: this.#self, table, signal: () => this.#stopping.signal };
    this.#gossip = new Gossip({
      ...shared,
      epoch: () => this.#views.view.epoch,
      onEpoch: (epoch, isSame) => this.#views.heardEpoch(epoch, isSame),
      onNews: (news) => this.#onNews(news),
      onSelf: (record) => this.#object(record),
      onHeard: (node) => this.#detector.heard(node),
      onSilent: (node) => void this.#detector.look(node),
    });
    this.#detector = new FailureDetector({
      ...shared,
      gossip: this.#gossip,
      watched: () => this.#views.follower,
      onDoubt: (node) => this.#views.refresh([node]),
    });
    const peers = options.peers.map(toMultiaddr);
    this.#bootstrap = new Bootstrap({ ...shared, gossip: this.#gossip, peers });
    const isDoubted = (node: NodeId) => this.#detector.isDoubted(node);
    options.book.follow((node) => {
      const record = table.get(node);
      return record !== undefined && isPresent(record) ? record.member.addresses : undefined;
    });
    this.#views = new ViewKeeper({ self: this.#self, table, isDoubted });
    this.#views.subscribe(({ members }) => options.metrics.members.set(members.length));
    options.link.handle({
      hear: (from, message) => this.#hear(from, message),
      probe: (_from, question) => this.#probe(question),
    });
  }

  current(): GroupView {
    return this.#views.view;
  }

  /** All that is known of the group, of members that are gone too. */
  roster(): readonly MemberRecord[] {
    return [...this.#table.records()];
  }

  /** How this node sees another one. */
  stateOf(node: NodeId): PeerState {
    const state = this.#table.get(node)?.state;
    if (state !== 'alive' && state !== 'suspect') return 'unknown';
    return state === 'suspect' || this.#detector.isDoubted(node) ? 'suspected' : 'up';
  }

  subscribe(onChange: (view: GroupView) => void): () => void {
    return this.#views.subscribe(onChange);
  }

  /** Joins the group; resolves after the first contacts, or 3 s, even when nobody is found. */
  async start(signal?: AbortSignal): Promise<void> {
    const { clock, metrics, logger } = this.#options;
    this.#stopping = new AbortController();
    this.#running = true;
    logger.info({ node: this.#self }, 'this node joins the group');
    this.#speak(clock.wallMs());
    // Doubts of before have ended with the last `stop`.
    this.#views.refresh(this.#table.present().map(({ member }) => member.nodeId));
    metrics.members.set(this.#views.view.members.length);
    this.#arm();
    const options = { what: 'joining the group', timeoutMs: JOIN_TIMEOUT_MS, signal };
    try {
      await withDeadline(clock, options, () => this.#bootstrap.start());
    } catch (error) {
      if (signal?.aborted) {
        await this.stop();
        throw error;
      }
      logger.warn({ err: error }, 'the group is joined later');
    }
  }

  /** Says goodbye. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    const { clock, logger, random } = this.#options;
    this.#running = false;
    this.#timer?.cancel();
    this.#bootstrap.stop();
    this.#detector.stop();
    const own = this.#own();
    this.#table.apply({ ...own, state: 'left' });
    const options = { what: 'saying goodbye', timeoutMs: GOODBYE_TIMEOUT_MS };
    const others = this.#table.pick(GOODBYES_MAX, random, ({ state }) => state === 'alive');
    const goodbyes = others.map(({ member }) => this.#gossip.talk(member, options));
    await withDeadline(clock, options, () => Promise.allSettled(goodbyes)).catch((error: unknown) =>
      logger.debug({ err: error }, 'not everyone heard the goodbye'),
    );
    this.#stopping.abort(new PeerError('unreachable', 'the peer host stops'));
    this.#gossip.stop();
  }

  /**
   * A request to a member failed: this node passes it over until it answers again, and finds out
   * with others whether it is gone.
   */
  reportFailure(node: NodeId): void {
    if (this.#running) this.#detector.report(node);
  }

  /** The last connection to a member ended: it may have crashed, which one question shows. */
  connectionLost(node: NodeId): void {
    const { clock, random } = this.#options;
    if (!this.#running || random.below(this.#table.presentCount) >= LOST_LOOKERS) return;
    clock.setTimer(random.below(LOST_SPREAD_MS), () => {
      if (this.#running) void this.#detector.look(node);
    });
  }

  /** Tells everyone that our weight or addresses are now what `self` says. */
  announce(): void {
    if (this.#running) this.#speak(this.#own().incarnation + 1);
  }

  #own(): MemberRecord {
    return this.#table.get(this.#self) as MemberRecord;
  }

  /** Says of ourselves what is true now. @param incarnation - at least */
  #speak(incarnation: number, joinedMs?: number): void {
    const higher = Math.max(Math.floor(incarnation), this.#own().incarnation + 1);
    this.#gossip.announce({ member: this.#options.self(), incarnation: higher, state: 'alive' });
    this.#views.refresh([this.#self], joinedMs);
  }

  /** Somebody takes us for gone, or for who we were before a restart. */
  #object(record: MemberRecord): void {
    if (!this.#running) return;
    const { clock, metrics, logger } = this.#options;
    const { state, incarnation } = record;
    metrics.objections.add();
    if (state !== 'alive') logger.warn({ state }, 'others took this node for gone; it objects');
    // Meanwhile the next owners have got what we own.
    this.#speak(incarnation + 1, clock.nowMs());
    this.#detector.wasAway();
  }

  #hear(from: NodeId, message: GossipMessage): GossipMessage {
    if (!this.#running) throw new PeerError('failed', 'this node is not in the group');
    return this.#gossip.hear(from, message);
  }

  #probe(question: ProbeQuestion): Promise<boolean> {
    if (!this.#running) throw new PeerError('failed', 'this node is not in the group');
    return this.#detector.probe(question);
  }

  #onNews(news: readonly MemberNews[]): void {
    const { logger, clock } = this.#options;
    for (const { record, before } of news) {
      const { member, state } = record;
      const { nodeId, weight, startedAtMs } = member;
      logger.info({ peer: nodeId, state, weight }, 'news of a member');
      const known = before !== undefined && isPresent(before) ? before.member : undefined;
      const isAnew = known !== undefined && known.startedAtMs !== startedAtMs;
      if (isAnew || !isPresent(record)) this.#options.onGone(nodeId);
    }
    this.#detector.note(news.map(({ record }) => record));
    // Until now we were alone; what we own from here on others have had.
    const joinedMs = this.#views.view.joinedMs ?? clock.nowMs();
    this.#views.refresh(
      news.map(({ record }) => record.member.nodeId),
      joinedMs,
    );
  }

  #arm(): void {
    const { clock, random } = this.#options;
    // Between 0.75 and 1.25 of the interval, so that nodes started together spread out.
    const delayMs = TICK_MS * (0.75 + random.below(1000) / 2000);
    this.#timer = clock.setTimer(delayMs, () => {
      if (!this.#running) return;
      this.#detector.tick();
      this.#arm();
    });
  }
}
