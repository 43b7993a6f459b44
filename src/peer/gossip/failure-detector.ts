import type { NodeId } from '../../block/node-id.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { type Random, shuffle } from '../../runtime/random.ts';
import { Semaphore } from '../../runtime/semaphore.ts';
import { PeerError } from '../block-exchange.ts';
import type { HealthBook } from '../peer-health.ts';
import type { PeerMetrics } from '../peer-metrics.ts';
import { Departures } from './departures.ts';
import { Doubts } from './doubts.ts';
import type { Gossip } from './gossip.ts';
import type { GossipLink } from './gossip-link.ts';
import type { ProbeQuestion } from './gossip-message.ts';
import type { MemberRecord } from './member-record.ts';
import { MEMBERS_MAX, type MemberTable } from './member-table.ts';

/** Members that are asked whether they reach one that does not answer us. */
const HELPERS = 3;
/** They have this much longer to answer than they have to find out. */
const HELPER_EXTRA_MS = 250;
/**
 * A member whose request has just failed is not given its usual patience once more: with the spread
 * of the news, all are to know of a crash within a second.
 */
const VERIFY_MS_MAX = 700;
/** Of a member that was away, and has to be dialled first; then a silent connection is given up. */
const REVIVE_TIMEOUT_MS = 1_500;
/** An answer that is missed by so much more than its deadline says that we ourselves stood still. */
const STALLED_MS = 250;
/** Members that are looked into at once. */
const VERIFIED_AT_ONCE = 32;
/** Of each missing member this many others try each second whether it is back. */
const REVIVERS = 3;

/** What a {@link FailureDetector} works with. */
export interface FailureDetectorParts {
  readonly self: NodeId;
  readonly table: MemberTable;
  readonly gossip: Gossip;
  readonly link: GossipLink;
  readonly health: HealthBook;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: PeerMetrics;
  readonly logger: Logger;
  readonly signal: () => AbortSignal;
  /** The one member that this node asks again and again; undefined when it is alone. */
  readonly watched: () => NodeId | undefined;
  /** Whether this node passes a member over has changed. */
  readonly onDoubt: (node: NodeId) => void;
}

/** How a member took a question. */
type PingResult = 'answered' | 'silent' | 'stalled';

/**
 * Finds out which members are gone (after SWIM, Das et al. 2002).
 *
 * A member that does not answer is passed over by this node at once, and asked again, by this node
 * and by a few others. Only when none of them reaches it, it is suspected for all to know; it then
 * has half a minute to object. Who alone cannot reach it passes it over alone.
 *
 * Each second a node asks one member by turns, which tells where tables differ, and the one that it
 * watches: so each is asked by somebody each second, and not only on average.
 */
export class FailureDetector {
  readonly #parts: FailureDetectorParts;
  readonly #doubts: Doubts;
  readonly #departures: Departures;
  readonly #places = new Semaphore(VERIFIED_AT_ONCE, MEMBERS_MAX);
  readonly #verifying = new Set<NodeId>();
  /** Members in the order in which they are asked, each once before any is asked again. */
  #order: NodeId[] = [];

  constructor(parts: FailureDetectorParts) {
    this.#parts = parts;
    this.#departures = new Departures(parts);
    this.#doubts = new Doubts({ ...parts, ask: (node) => this.#verify(node) });
  }

  /** Whether this node passes a member over that others may well reach. */
  isDoubted(node: NodeId): boolean {
    return this.#doubts.has(node);
  }

  /** A request to a member failed. */
  report(node: NodeId): void {
    const { self, table, metrics, logger, onDoubt } = this.#parts;
    // Only others may suspect this node, and it objects.
    if (node === self || table.get(node)?.state !== 'alive' || !this.#doubts.begin(node)) return;
    metrics.suspicions.add();
    logger.warn({ peer: node }, 'a member does not answer and is passed over');
    onDoubt(node);
    this.#verify(node);
  }

  /** A sign that a member may be gone, which one question shows. */
  async look(node: NodeId): Promise<void> {
    if (this.#parts.table.get(node)?.state !== 'alive' || this.#doubts.has(node)) return;
    if ((await this.#ping(node, this.#patienceMs(node))) === 'silent') this.report(node);
  }

  /** A member has spoken to us. */
  heard(node: NodeId): void {
    if (!this.#doubts.heard(node)) return;
    this.#parts.logger.info({ peer: node }, 'a member answers again');
    this.#parts.onDoubt(node);
    this.#doubts.hurry();
  }

  /** This node was away for a while, others say. */
  wasAway(): void {
    this.#doubts.hurry();
  }

  /** Records have changed: what all know counts more than our own doubts. */
  note(news: readonly MemberRecord[]): void {
    for (const record of news) {
      this.#departures.note(record);
      this.#doubts.end(record.member.nodeId);
    }
  }

  /** To be called once a second. */
  tick(): void {
    const { table, gossip, logger } = this.#parts;
    this.#doubts.tidy();
    for (const dead of this.#departures.due(table)) {
      logger.warn({ peer: dead.member.nodeId }, 'a suspected member is taken for dead');
      gossip.announce(dead);
    }
    const watched = this.#parts.watched();
    const next = this.#next();
    if (watched !== undefined) void this.look(watched);
    if (next !== undefined && next !== watched) void this.look(next);
    this.#revive();
  }

  /** Tries for another member whether one can be reached. */
  async probe({ target, timeoutMs }: ProbeQuestion): Promise<boolean> {
    if (target === this.#parts.self) return true;
    return (await this.#ping(target, timeoutMs)) === 'answered';
  }

  /** Asks nobody any more. */
  stop(): void {
    this.#doubts.stop();
    this.#order = [];
  }

  /** Never rejects. */
  #verify(node: NodeId): void {
    if (this.#verifying.has(node)) return;
    this.#verifying.add(node);
    const { signal, logger } = this.#parts;
    this.#places
      .run(() => this.#lookInto(node), signal())
      .catch((error: unknown) => {
        if (!signal().aborted) logger.error({ peer: node, err: error }, 'looking into it broke');
      })
      .finally(() => {
        this.#verifying.delete(node);
        // It may have been doubted anew meanwhile, or its time have come: both ask only once at a time.
        this.#doubts.askInTime(node);
      });
  }

  async #lookInto(node: NodeId): Promise<void> {
    const { table, random, self, logger, gossip } = this.#parts;
    const suspected = table.get(node);
    if (suspected?.state !== 'alive' || !this.#doubts.has(node)) return;
    const timeoutMs = Math.ceil(Math.min(this.#patienceMs(node), VERIFY_MS_MAX));
    const isHelper = ({ member: { nodeId }, state }: MemberRecord) =>
      state === 'alive' && nodeId !== self && nodeId !== node && !this.#doubts.has(nodeId);
    const helpers = table.pick(HELPERS, random, isHelper);
    const [own, ...theirs] = await Promise.all([
      this.#ping(node, timeoutMs),
      ...helpers.map((helper) => this.#askHelper(helper, { target: node, timeoutMs })),
    ]);
    if (own === 'answered') return;
    // Our connection may lead to where it was before, and a new one to where it is now.
    if (own === 'silent') void this.#ping(node, REVIVE_TIMEOUT_MS, true);
    if (table.get(node) !== suspected || !this.#doubts.has(node)) return;
    // Without a witness we may be the one that is cut off; alone with it there is nobody to tell.
    const isConfirmed = helpers.length === 0 || theirs.includes('unreached');
    if (own === 'stalled' || theirs.includes('reached') || !isConfirmed) {
      logger.info({ peer: node, own, theirs }, 'a member is passed over by this node only');
      this.#doubts.askLater(node);
      return;
    }
    logger.warn({ peer: node, theirs }, 'a member is suspected');
    gossip.announce({ ...suspected, state: 'suspect' });
  }

  async #askHelper(
    { member }: MemberRecord,
    question: ProbeQuestion,
  ): Promise<'reached' | 'unreached' | 'unknown'> {
    const { link, signal, logger } = this.#parts;
    const timeoutMs = question.timeoutMs + HELPER_EXTRA_MS;
    try {
      const options = { timeoutMs, signal: signal() };
      return (await link.probe(member, question, options)) ? 'reached' : 'unreached';
    } catch (error) {
      logger.debug({ peer: member.nodeId, err: error }, 'a member did not help');
      return 'unknown';
    }
  }

  /** Never rejects. */
  async #ping(node: NodeId, timeoutMs: number, dropSilent = false): Promise<PingResult> {
    const { clock, table, gossip, health, logger } = this.#parts;
    const startedMs = clock.nowMs();
    try {
      const addresses = table.get(node)?.member.addresses ?? [];
      await gossip.talk({ nodeId: node, addresses }, { timeoutMs, dropSilent });
      health.observe(node, 'control', clock.nowMs() - startedMs);
      return 'answered';
    } catch (error) {
      // Who has too much to do lives.
      if (error instanceof PeerError && error.code === 'busy') return 'answered';
      logger.debug({ peer: node, err: error }, 'a member does not answer');
      const isStalled = clock.nowMs() - startedMs > timeoutMs + STALLED_MS;
      if (isStalled) return 'stalled';
      if (error instanceof PeerError && error.code === 'timeout') health.lose(node, 'control');
      return 'silent';
    }
  }

  #patienceMs(node: NodeId): number {
    return this.#parts.health.deadlineMs(node, 'control');
  }

  /** Whose turn it is to be asked. */
  #next(): NodeId | undefined {
    const { table, self, random } = this.#parts;
    for (let turn = 0; turn < 2; turn += 1) {
      for (let node = this.#order.pop(); node !== undefined; node = this.#order.pop()) {
        if (node !== self && table.get(node)?.state === 'alive') return node;
      }
      const nodes = table.present().map(({ member }) => member.nodeId);
      this.#order = shuffle(nodes, random);
    }
    return undefined;
  }

  /** Tries one missing member, so often that the group as a whole finds it soon and costs it little. */
  #revive(): void {
    const { table, random } = this.#parts;
    const { missing } = this.#departures;
    if (missing.length === 0) return;
    const alive = Math.max(1, table.presentCount - missing.length);
    const odds = (REVIVERS * missing.length) / alive;
    if (random.below(1_000_000) >= odds * 1_000_000) return;
    const { nodeId } = (missing[random.below(missing.length)] as MemberRecord).member;
    void this.#ping(nodeId, REVIVE_TIMEOUT_MS, true);
  }
}
