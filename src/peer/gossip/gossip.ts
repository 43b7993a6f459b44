import type { NodeId } from '../../block/node-id.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { LogThrottle } from '../../runtime/log-throttle.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Random } from '../../runtime/random.ts';
import { PeerError } from '../block-exchange.ts';
import type { ControlTarget } from '../control-plane.ts';
import type { PeerMetrics } from '../peer-metrics.ts';
import type { GossipLink } from './gossip-link.ts';
import { type GossipMessage, RecordRoom } from './gossip-message.ts';
import { isPresent, type MemberNews, type MemberRecord, saysTheSame } from './member-record.ts';
import type { MemberTable } from './member-table.ts';
import { Rumours } from './rumours.ts';

/** News in one message at most; what is left goes with the next one. */
const NEWS_MAX = 32;
/** Members that are told at once while there is news. */
const TOLD_AT_ONCE = 3;
/** News waits this long for more of it, at most; a message costs as much as 20 records. */
const GATHER_MS = 20;
/** Between two rounds of telling. */
const ROUND_MS = 100;
/** A member that is told news has this long to answer. */
const TELL_TIMEOUT_MS = 1_500;
/** When there has been news for this long without a pause, tables are compared all the same. */
const COMPARE_EVERY_MS = 5_000;
/** Between two comparisons at rest. */
const COMPARE_PAUSE_MS = 500;
/**
 * News is told no more once so many members in a row, and as many as the group's logarithm, knew it
 * all: then nearly everybody does, and the hashes find the others.
 */
const AGREEMENTS_LEAST = 4;
/** Questions of one comparison; 64 buckets of a group of 8,192 need about 40 messages. */
const COMPARE_ROUNDS_MAX = 200;

/** Between two log lines about members that are not taken in. */
const LINE_EVERY_MS = 60_000;

/** What a {@link Gossip} works with. */
export interface GossipParts {
  readonly self: NodeId;
  readonly table: MemberTable;
  readonly link: GossipLink;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: PeerMetrics;
  readonly logger: Logger;
  readonly signal: () => AbortSignal;
  /** Number of our view. */
  readonly epoch: () => number;
  /** Others have a view of this number; `isSame`: of the same members. */
  readonly onEpoch: (epoch: number, isSame: boolean) => void;
  /** Records have changed. Not called for our own. */
  readonly onNews: (news: readonly MemberNews[]) => void;
  /** Somebody says of ourselves what is not true any more. */
  readonly onSelf: (record: MemberRecord) => void;
  /** A member has spoken to us: it lives, and reaches us. */
  readonly onHeard: (node: NodeId) => void;
  /** A member that was told news did not answer. */
  readonly onSilent: (node: NodeId) => void;
}

/**
 * Spreads records among the members.
 *
 * News is told to a few members at random at once, who tell others: like an infection it reaches all
 * in a number of rounds that grows with the logarithm of the group. Each message carries the hash of
 * its speaker's table; when two differ and there is no news about, the two compare their tables. At
 * rest nothing is sent from here: the failure detector's questions carry the hashes.
 */
export class Gossip {
  readonly #parts: GossipParts;
  readonly #rumours = new Rumours();
  readonly #throttle: LogThrottle;
  #timer: Timer | undefined;
  #comparing = false;
  /** Members in a row whose tables were the same as ours. */
  #agreements = 0;
  #comparedMs = Number.NEGATIVE_INFINITY;
  /** When there was last nothing to tell. */
  #quietMs = Number.NEGATIVE_INFINITY;

  constructor(parts: GossipParts) {
    this.#parts = parts;
    this.#throttle = new LogThrottle(parts.clock, LINE_EVERY_MS);
  }

  /** Takes in what this node has found out by itself, or says of itself, and spreads it. */
  announce(record: MemberRecord): void {
    const { table, self, onNews, random } = this.#parts;
    const news = table.apply(record);
    if (news === undefined) return;
    this.#addRumour(record);
    if (record.member.nodeId !== self) onNews([news]);
    this.#arm(random.below(GATHER_MS));
  }

  /**
   * Says hello to a member, with what is new, and takes in what it answers.
   *
   * @returns who answered
   * @throws PeerError; the signal's reason when aborted
   */
  async talk(
    to: ControlTarget,
    options: { timeoutMs: number; dropSilent?: boolean },
  ): Promise<NodeId> {
    const { link, signal, table } = this.#parts;
    const news = this.#news();
    const known = to.nodeId === undefined ? undefined : table.get(to.nodeId);
    // Who is thought to be away must hear of it to be able to object.
    const isWrongly = known !== undefined && known.state !== 'alive' && !news.includes(known);
    const records = isWrongly ? [known, ...news] : news;
    const message = this.#message({ records });
    const answer = await link.tell(to, message, { ...options, signal: signal() });
    checkWho(to, answer.from);
    this.#listen(answer.from, answer.message);
    this.#compareIfDue(answer.from, to, answer.message);
    return answer.from;
  }

  /** Answers what a member says. @throws PeerError (`protocol`) when it speaks for another one */
  hear(from: NodeId, message: GossipMessage): GossipMessage {
    this.#listen(from, message);
    const { wants, self } = message;
    const corrections = this.#corrections([self, ...message.records]);
    if (wants === undefined) return this.#message({ records: [...corrections, ...this.#news()] });
    return this.#message(this.#differences(wants, corrections));
  }

  /**
   * Brings two tables together, whatever their differences.
   *
   * @param timeoutMs - for each of the questions that it takes
   * @returns who answered
   * @throws as {@link talk}
   */
  async compare(to: ControlTarget, timeoutMs: number): Promise<NodeId> {
    const { link, table, signal, clock, logger } = this.#parts;
    this.#comparedMs = clock.nowMs();
    let target = to;
    let records: readonly MemberRecord[] = [];
    for (let round = 0; round < COMPARE_ROUNDS_MAX; round += 1) {
      const question = this.#message({ records, wants: table.bucketHashes });
      const answer = await link.tell(target, question, { timeoutMs, signal: signal() });
      checkWho(target, answer.from);
      target = { nodeId: answer.from, addresses: to.addresses };
      const before = table.hash;
      // Before ours are looked up: what they have is often what we lack.
      this.#listen(answer.from, answer.message);
      const theirs = new Map(answer.message.records.map((each) => [each.member.nodeId, each]));
      records = answer.message.covers
        .flatMap((bucket) => table.inBucket(bucket))
        .filter((each) => !isAmong(theirs, each));
      const hasChanged = before.low !== table.hash.low || before.high !== table.hash.high;
      if (records.length === 0 && !hasChanged) return answer.from;
    }
    logger.warn({ peer: target.nodeId }, 'two tables of members do not become alike');
    throw new PeerError('failed', `comparing tables with ${target.nodeId} does not end`);
  }

  /** Tells nothing any more. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#rumours.clear();
  }

  #addRumour(record: MemberRecord): void {
    if (this.#rumours.size === 0) this.#quietMs = this.#parts.clock.nowMs();
    this.#agreements = 0;
    this.#rumours.add(record);
  }

  #news(): MemberRecord[] {
    return this.#rumours.take(NEWS_MAX, this.#parts.table.presentCount);
  }

  #message(fields: Pick<GossipMessage, 'records'> & Partial<GossipMessage>): GossipMessage {
    const { table, epoch, self } = this.#parts;
    const room = new RecordRoom();
    room.add(fields.records);
    return {
      self: table.get(self) as MemberRecord,
      hash: table.hash,
      epoch: epoch(),
      wants: undefined,
      covers: [],
      ...fields,
      records: room.records,
    };
  }

  #listen(from: NodeId, message: GossipMessage): void {
    const { table, onEpoch, onHeard } = this.#parts;
    const { self, records, hash, epoch } = message;
    if (self.member.nodeId !== from) {
      throw new PeerError('protocol', `${from} speaks for ${self.member.nodeId}`);
    }
    if (this.#take([self, ...records])) this.#arm(this.#parts.random.below(GATHER_MS));
    if (self.state === 'alive') onHeard(from);
    const own = table.hash;
    const isSame = own.low === hash.low && own.high === hash.high;
    this.#agreements = isSame ? this.#agreements + 1 : 0;
    const enough = AGREEMENTS_LEAST + Math.log2(table.presentCount + 1);
    if (this.#agreements >= enough) this.#rumours.clear();
    onEpoch(epoch, isSame);
  }

  /** @returns whether there is anything to tell */
  #take(records: readonly MemberRecord[]): boolean {
    const { table, self, onNews, onSelf } = this.#parts;
    const news: MemberNews[] = [];
    for (const record of records) {
      const isOwn = record.member.nodeId === self;
      const own = isOwn ? table.get(self) : undefined;
      if (own !== undefined && !isOurs(record, own)) {
        onSelf(record);
        continue;
      }
      const told = table.apply(record);
      if (told === undefined) {
        if (table.isFull && table.get(record.member.nodeId) === undefined) this.#leaveOut(record);
        continue;
      }
      this.#addRumour(record);
      if (!isOwn) news.push(told);
    }
    if (news.length > 0) onNews(news);
    return this.#rumours.size > 0;
  }

  /** There are as many members as can be kept. */
  #leaveOut({ member: { nodeId } }: MemberRecord): void {
    const { metrics, logger } = this.#parts;
    metrics.membersLeftOut.add();
    const leftOut = this.#throttle.admit('full');
    if (leftOut === undefined) return;
    logger.error({ peer: nodeId, leftOut }, 'the group has too many members, one is left out');
  }

  /** Ours, where others told older ones. */
  #corrections(told: readonly MemberRecord[]): MemberRecord[] {
    const corrections = told.map((record) => {
      const own = this.#parts.table.get(record.member.nodeId);
      return own !== undefined && !saysTheSame(own, record) ? own : undefined;
    });
    return [...new Set(corrections.filter((record) => record !== undefined))];
  }

  /** Answers a comparison: corrections first, then whole buckets as long as they fit. */
  #differences(wants: Uint32Array, corrections: readonly MemberRecord[]) {
    const { table } = this.#parts;
    const covers: number[] = [];
    const room = new RecordRoom();
    room.add(corrections);
    for (const bucket of table.differing(wants)) {
      // What does not fit any more follows: what is told now does not differ next time.
      if (!room.add(table.inBucket(bucket))) break;
      covers.push(bucket);
    }
    return { records: room.records, covers };
  }

  #compareIfDue(from: NodeId, to: ControlTarget, { hash }: GossipMessage): void {
    const { table, clock, logger } = this.#parts;
    const own = table.hash;
    if (this.#comparing || (own.low === hash.low && own.high === hash.high)) return;
    const nowMs = clock.nowMs();
    if (nowMs - this.#comparedMs < COMPARE_PAUSE_MS) return;
    // News that is on its way explains the difference, for a while.
    if (this.#rumours.size > 0 && nowMs - this.#quietMs < COMPARE_EVERY_MS) return;
    this.#comparing = true;
    this.#quietMs = nowMs;
    this.compare({ nodeId: from, addresses: to.addresses }, TELL_TIMEOUT_MS)
      .catch((error: unknown) => {
        logger.info({ peer: from, err: error }, 'tables of members were not compared');
      })
      .finally(() => {
        this.#comparing = false;
      });
  }

  #arm(delayMs: number): void {
    if (this.#timer !== undefined || this.#parts.signal().aborted) return;
    this.#timer = this.#parts.clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      this.#tellSome();
      if (this.#rumours.size > 0) this.#arm(ROUND_MS * 0.75 + this.#parts.random.below(50));
    });
  }

  #tellSome(): void {
    const { table, random, self, onSilent, logger } = this.#parts;
    const isOther = (record: MemberRecord) =>
      record.member.nodeId !== self && record.state === 'alive';
    const others = table.pick(TOLD_AT_ONCE, random, isOther);
    // Nobody to tell: who joins hears everything anyway.
    if (others.length === 0) this.#rumours.clear();
    for (const { member } of others) {
      this.talk(member, { timeoutMs: TELL_TIMEOUT_MS }).catch((error: unknown) => {
        if (this.#parts.signal().aborted) return;
        logger.debug({ peer: member.nodeId, err: error }, 'a member was not told the news');
        onSilent(member.nodeId);
      });
    }
  }
}

function checkWho({ nodeId }: ControlTarget, from: NodeId): void {
  if (nodeId === undefined || nodeId === from) return;
  throw new PeerError('protocol', `${from} answers instead of ${nodeId}`);
}

/** Whether a record of ourselves is one that we have said, or an older one of us as alive. */
function isOurs(record: MemberRecord, own: MemberRecord): boolean {
  if (record.incarnation !== own.incarnation) return record.incarnation < own.incarnation;
  // Who starts again with a clock that was set back may say something else in an incarnation that
  // others remember from before.
  return saysTheSame(record, own) || !isPresent(own);
}

function isAmong(records: ReadonlyMap<NodeId, MemberRecord>, record: MemberRecord): boolean {
  const other = records.get(record.member.nodeId);
  return other !== undefined && saysTheSame(record, other);
}
