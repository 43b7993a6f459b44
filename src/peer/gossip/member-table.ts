import assert from 'node:assert/strict';
import type { NodeId } from '../../block/node-id.ts';
import { hashText } from '../../runtime/stable-hash.ts';
import type { Random } from '../../runtime/random.ts';
import {
  hashRecord,
  isPresent,
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

interface Entry {
  record: MemberRecord;
  hash: RecordHash;
  readonly bucket: number;
  /** Its place among those present; -1 when it is gone. */
  place: number;
}

/**
 * All that a node knows of the members, itself included. Pure bookkeeping: merging records in any
 * order gives the same table (see {@link supersedes}), and its hash tells whether two are the same.
 */
export class MemberTable {
  readonly #entries = new Map<NodeId, Entry>();
  readonly #present: Entry[] = [];
  readonly #buckets = new Uint32Array(BUCKETS);
  #low = 0;
  #high = 0;

  /** Members that have a place in the ring: alive and suspected ones. */
  get presentCount(): number {
    return this.#present.length;
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
    return this.#entries.size >= MEMBERS_MAX;
  }

  get(node: NodeId): MemberRecord | undefined {
    return this.#entries.get(node)?.record;
  }

  /** All records, of gone members too. */
  *records(): Generator<MemberRecord> {
    for (const { record } of this.#entries.values()) yield record;
  }

  /** Records of members that are present. */
  present(): MemberRecord[] {
    return this.#present.map(({ record }) => record);
  }

  /** Records of the members present in a bucket. */
  inBucket(bucket: number): MemberRecord[] {
    return this.#present.filter((entry) => entry.bucket === bucket).map(({ record }) => record);
  }

  /** Buckets whose hash is another one. @param hashes - {@link BUCKETS} of them */
  differing(hashes: Uint32Array): number[] {
    return Array.from(this.#buckets.keys()).filter((at) => this.#buckets[at] !== hashes[at]);
  }

  /** Up to `count` different members present for which `isWanted` holds, at random. */
  pick(count: number, random: Random, isWanted: (record: MemberRecord) => boolean): MemberRecord[] {
    const picked = new Set<MemberRecord>();
    // Drawing at random is cheap while most are wanted; else all are looked at.
    for (let draw = 0; draw < 4 * count && this.#present.length > 0; draw += 1) {
      const { record } = this.#present[random.below(this.#present.length)] as Entry;
      if (isWanted(record)) picked.add(record);
      if (picked.size === count) return [...picked];
    }
    const rest = this.present().filter((record) => isWanted(record) && !picked.has(record));
    while (picked.size < count && rest.length > 0) {
      picked.add(rest.splice(random.below(rest.length), 1)[0] as MemberRecord);
    }
    return [...picked];
  }

  /** Merges a record. @returns whether it was news */
  apply(record: MemberRecord): boolean {
    const { nodeId } = record.member;
    const entry = this.#entries.get(nodeId);
    if (entry !== undefined) {
      if (!supersedes(record, entry.record)) return false;
      this.#count(entry, -1);
      entry.record = record;
      entry.hash = hashRecord(record);
      this.#count(entry, 1);
      return true;
    }
    if (this.isFull) return false;
    const bucket = hashText(nodeId, 0) % BUCKETS;
    const added: Entry = { record, hash: hashRecord(record), bucket, place: -1 };
    this.#entries.set(nodeId, added);
    this.#count(added, 1);
    return true;
  }

  /** Forgets a member that is gone. */
  forget(node: NodeId): void {
    const entry = this.#entries.get(node);
    if (entry === undefined) return;
    assert(!isPresent(entry.record), 'a member that is present is forgotten');
    this.#entries.delete(node);
  }

  #count(entry: Entry, sign: 1 | -1): void {
    if (!isPresent(entry.record)) return;
    const { hash, bucket } = entry;
    // XOR: adding and taking away are the same, in any order.
    this.#low = (this.#low ^ hash.low) >>> 0;
    this.#high = (this.#high ^ hash.high) >>> 0;
    this.#buckets[bucket] = (this.#buckets[bucket] as number) ^ hash.low;
    if (sign === 1) {
      entry.place = this.#present.push(entry) - 1;
      return;
    }
    const last = this.#present.pop() as Entry;
    if (last !== entry) {
      this.#present[entry.place] = last;
      last.place = entry.place;
    }
    entry.place = -1;
  }
}
