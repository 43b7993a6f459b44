import type { NodeId } from '../../block/node-id.ts';
import type { MemberRecord } from './member-record.ts';

/**
 * Each record is told to this many members, times the logarithm of their number: enough that with
 * those who pass it on hardly anyone misses it, and who does finds out by its hash.
 */
const TELLINGS_PER_DOUBLING = 1.5;
const TELLINGS_LEAST = 3;

/** Records that are news, until they have been told often enough. */
export class Rumours {
  /** Not told yet: they go first, however many others still make their rounds. */
  readonly #fresh = new Map<NodeId, MemberRecord>();
  readonly #told = new Map<NodeId, { readonly record: MemberRecord; readonly count: number }>();

  get size(): number {
    return this.#fresh.size + this.#told.size;
  }

  /** There is news of a member, which replaces older news of it. */
  add(record: MemberRecord): void {
    const { nodeId } = record.member;
    this.#told.delete(nodeId);
    this.#fresh.set(nodeId, record);
  }

  /**
   * What to tell next: what is fresh, then what was told longest ago.
   *
   * @param most - records at most
   * @param members - of the group
   */
  take(most: number, members: number): MemberRecord[] {
    if (this.size === 0) return [];
    const limit = TELLINGS_LEAST + Math.ceil(TELLINGS_PER_DOUBLING * Math.log2(members + 1));
    const fresh = Array.from(this.#fresh.values().take(most), (record) => ({ record, count: 0 }));
    const again = [...this.#told.values().take(most - fresh.length)];
    for (const { record, count } of [...fresh, ...again]) {
      const { nodeId } = record.member;
      this.#fresh.delete(nodeId);
      this.#told.delete(nodeId);
      if (count + 1 < limit) this.#told.set(nodeId, { record, count: count + 1 });
    }
    return [...fresh, ...again].map(({ record }) => record);
  }

  /** Nothing is to be told any more. */
  clear(): void {
    this.#fresh.clear();
    this.#told.clear();
  }
}
