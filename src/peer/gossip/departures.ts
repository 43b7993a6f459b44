import type { NodeId } from '../../block/node-id.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Random } from '../../runtime/random.ts';
import { isPresent, type MemberRecord } from './member-record.ts';
import type { MemberTable } from './member-table.ts';

/**
 * A suspect that has not objected for this long is dead: the ring then does without it. Until then
 * its blocks fall to their next owners all the same; a process that is restarted meanwhile finds its
 * place as it was.
 */
const DEAD_AFTER_MS = 30_000;
/** Added at random, so that who finds out first can tell the others. */
const DEAD_SPREAD_MS = 15_000;
/** What is known of gone members is kept for so long: old news of them must not bring them back. */
const KEEP_GONE_MS = 600_000;

/** Follows members from suspicion to death and out of memory. Pure bookkeeping on a clock. */
export class Departures {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #dueMs = new Map<NodeId, { readonly record: MemberRecord; readonly atMs: number }>();

  constructor(parts: { clock: Clock; random: Random }) {
    this.#clock = parts.clock;
    this.#random = parts.random;
  }

  /** Members that are suspected or gone, and may come back. */
  get missing(): readonly MemberRecord[] {
    return [...this.#dueMs.values()]
      .map(({ record }) => record)
      .filter(({ state }) => state !== 'left');
  }

  /** The record of a member has changed. */
  note(record: MemberRecord): void {
    const { nodeId } = record.member;
    this.#dueMs.delete(nodeId);
    if (record.state === 'alive') return;
    const spreadMs = this.#random.below(DEAD_SPREAD_MS);
    const delayMs = record.state === 'suspect' ? DEAD_AFTER_MS + spreadMs : KEEP_GONE_MS;
    this.#dueMs.set(nodeId, { record, atMs: this.#clock.nowMs() + delayMs });
  }

  /** Forgets what has been kept for long enough. @returns suspects that are dead now */
  due(table: MemberTable): readonly MemberRecord[] {
    const nowMs = this.#clock.nowMs();
    const dead: MemberRecord[] = [];
    for (const [node, { record, atMs }] of this.#dueMs) {
      if (atMs > nowMs) continue;
      this.#dueMs.delete(node);
      if (isPresent(record)) dead.push({ ...record, state: 'dead' });
      else table.forget(node);
    }
    return dead;
  }
}
