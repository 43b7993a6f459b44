import assert from 'node:assert/strict';
import type { NodeId } from '../../block/node-id.ts';
import { hashText } from '../../runtime/stable-hash.ts';
import type { Random } from '../../runtime/random.ts';
import {
  hashRecord,
  isPresent,
  type MemberNews,
  type MemberRecord,
  type RecordHash,
  supersedes,
} from './member-record.ts';

/** Members at most, gone ones included; more are not taken in. */
export const MEMBERS_MAX = 8192;
/**
 * Parts into which tables are cut to find out where two of them differ. In a group of 4,000 each has
 * about 60 members, which fit into one message.
 */
export const BUCKETS = 64;

/**
 * All that a node knows of the members, itself included. Pure bookkeeping: merging records in any
 * order gives the same table (see {@link supersedes}), and its hash tells whether two are the same.
 */
export class MemberTable {
  readonly #records = new Map<NodeId, MemberRecord>();
  /** Those present, by bucket, in no order. */
  readonly #present = Array.from({ length: BUCKETS }, (): MemberRecord[] => []);
  readonly #buckets = new Uint32Array(BUCKETS);
  #presentCount = 0;
  #low = 0;
  #high = 0;

  /** Members that have a place in the ring: alive and suspected ones. */
  get presentCount(): number {
    return this.#presentCount;
  }

  /** Over all members present. Those that are gone are forgotten at different times. */
  get hash(): RecordHash {
    return { low: this.#low, high: this.#high };
  }

  /** One hash for each bucket. */
  get bucketHashes(): Uint32Array {
    return this.#buckets.slice();
  }

  /** Whether no further member is taken in. */
  get isFull(): boolean {
    return this.#records.size >= MEMBERS_MAX;
  }

  get(node: NodeId): MemberRecord | undefined {
    return this.#records.get(node);
  }

  /** All records, of gone members too. */
  records(): Iterable<MemberRecord> {
    return this.#records.values();
  }

  /** Records of members that are present. */
  present(): MemberRecord[] {
    return this.#present.flat();
  }

  /** Records of the members present in a bucket; valid until the table changes. */
  inBucket(bucket: number): readonly MemberRecord[] {
    return this.#present[bucket] as MemberRecord[];
  }

  /** Buckets whose hash is another one. @param hashes - {@link BUCKETS} of them */
  differing(hashes: Uint32Array): number[] {
    return Array.from(this.#buckets.keys()).filter((at) => this.#buckets[at] !== hashes[at]);
  }

  /** Up to `count` different members present for which `isWanted` holds, at random. */
  pick(count: number, random: Random, isWanted: (record: MemberRecord) => boolean): MemberRecord[] {
    const picked = new Set<MemberRecord>();
    // Drawing at random is cheap while most are wanted; else all are looked at.
    for (let draw = 0; draw < 4 * count && this.#presentCount > 0; draw += 1) {
      const record = this.#presentAt(random.below(this.#presentCount));
      if (isWanted(record)) picked.add(record);
      if (picked.size === count) return [...picked];
    }
    const rest = this.present().filter((record) => isWanted(record) && !picked.has(record));
    while (picked.size < count && rest.length > 0) {
      picked.add(rest.splice(random.below(rest.length), 1)[0] as MemberRecord);
    }
    return [...picked];
  }

  /** Merges a record. @returns what was known before, when it is news */
  apply(record: MemberRecord): MemberNews | undefined {
    const { nodeId } = record.member;
    const before = this.#records.get(nodeId);
    if (before === undefined ? this.isFull : !supersedes(record, before)) return undefined;
    const bucket = hashText(nodeId, 0) % BUCKETS;
    if (before !== undefined && isPresent(before)) this.#remove(before, bucket);
    this.#records.set(nodeId, record);
    if (isPresent(record)) this.#add(record, bucket);
    return { record, before };
  }

  /** Forgets a member that is gone. */
  forget(node: NodeId): void {
    const record = this.#records.get(node);
    if (record === undefined) return;
    assert(!isPresent(record), 'a member that is present is forgotten');
    this.#records.delete(node);
  }

  /** @param place - of those present, one bucket after the other; below {@link presentCount} */
  #presentAt(place: number): MemberRecord {
    let left = place;
    for (const members of this.#present) {
      const record = members[left];
      if (record !== undefined) return record;
      left -= members.length;
    }
    throw new assert.AssertionError({ message: `no ${place} of ${this.#presentCount} members` });
  }

  #add(record: MemberRecord, bucket: number): void {
    (this.#present[bucket] as MemberRecord[]).push(record);
    this.#presentCount += 1;
    this.#mix(record, bucket);
  }

  #remove(record: MemberRecord, bucket: number): void {
    const members = this.#present[bucket] as MemberRecord[];
    const place = members.indexOf(record);
    const last = members.pop() as MemberRecord;
    if (last !== record) members[place] = last;
    this.#presentCount -= 1;
    this.#mix(record, bucket);
  }

  /** XOR: adding and taking away are the same, in any order. Hashes are not kept: changes are rare. */
  #mix(record: MemberRecord, bucket: number): void {
    const { low, high } = hashRecord(record);
    this.#low = (this.#low ^ low) >>> 0;
    this.#high = (this.#high ^ high) >>> 0;
    this.#buckets[bucket] = (this.#buckets[bucket] as number) ^ low;
  }
}
