import assert from 'node:assert/strict';
import type { Extent, ExtentSink } from './driver.ts';

/** Entries that share a hash; a publication replaces one of them when all are in use. */
const WAYS = 8;
const INTS_PER_ENTRY = 16;
const BYTES_PER_ENTRY = INTS_PER_ENTRY * 4;
/** Header: unitBytes, number of sets. */
const HEADER_INTS = 16;
const UNIT_BYTES = 0;
const SETS = 1;

const SEQUENCE = 0;
const FILE_ID = 1;
const UNIT = 2;
const SLOT = 3;
const GENERATION = 4;
const LEASE_OFFSET = 5;
const START = 6;
const END = 7;
const ENDS_FILE = 8;
const NOTIFY = 9;

/** An extent as {@link ExtentMap.find} found it. Reused, so that looking up allocates nothing. */
export class FoundExtent {
  slot = 0;
  generation = 0;
  leaseOffset = 0;
  /** First and past-the-end byte in the unit. */
  startInUnit = 0;
  endInUnit = 0;
  endsFile = false;
  /** For {@link ExtentMap.takeNotify}. */
  entry = 0;
  sequence = 0;
}

/**
 * Tells worker threads where parts of files lie: a set-associative hash table in shared memory,
 * keyed by (file id, unit). One thread writes, any thread reads.
 *
 * Each entry has a sequence number, odd while it is written: a reader that sees it odd or changed
 * finds nothing. All accesses are `Atomics`, hence sequentially consistent. Losing an entry is
 * always right: the read then goes to the main thread. An entry whose lease has ended does no
 * harm either: pinning it fails.
 */
export class ExtentMap implements ExtentSink {
  /** Hand this to a worker, which calls {@link ExtentMap.attach}. */
  readonly shared: SharedArrayBuffer;
  /** Files are cut into units of this size. */
  readonly unitBytes: number;
  readonly #ints: Int32Array;
  readonly #sets: number;
  #victim = 0;

  private constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#ints = new Int32Array(shared);
    this.unitBytes = this.#ints[UNIT_BYTES] as number;
    this.#sets = this.#ints[SETS] as number;
  }

  /**
   * @param unitBytes - 1 … 2^30
   * @param capacity - entries of 64 bytes, rounded up to a power of two ≥ 8; pages are touched only
   * where entries are used
   */
  static create(unitBytes: number, capacity: number): ExtentMap {
    assert(unitBytes >= 1 && unitBytes <= 2 ** 30);
    const sets = 2 ** Math.ceil(Math.log2(Math.max(1, capacity / WAYS)));
    const shared = new SharedArrayBuffer(HEADER_INTS * 4 + sets * WAYS * BYTES_PER_ENTRY);
    new Int32Array(shared).set([unitBytes, sets]);
    return new ExtentMap(shared);
  }

  /** The same map in another thread. */
  static attach(shared: SharedArrayBuffer): ExtentMap {
    return new ExtentMap(shared);
  }

  /** Writer only. Extents beyond unit 2^32 are not kept. */
  publish(extent: Extent): void {
    const unit = Math.floor(extent.fileOffset / this.unitBytes);
    if (unit >= 2 ** 32 || extent.fileId === 0) return;
    const start = extent.fileOffset - unit * this.unitBytes;
    assert(extent.leaseOffset >= 0 && extent.leaseOffset < 2 ** 31);
    assert(start + extent.lengthBytes <= this.unitBytes, 'an extent lies in one unit');
    const at = this.#place(extent.fileId, unit);
    const sequence = this.#beginWrite(at);
    Atomics.store(this.#ints, at + FILE_ID, extent.fileId);
    Atomics.store(this.#ints, at + UNIT, unit);
    Atomics.store(this.#ints, at + SLOT, extent.lease.slot);
    Atomics.store(this.#ints, at + GENERATION, extent.lease.generation);
    Atomics.store(this.#ints, at + LEASE_OFFSET, extent.leaseOffset);
    Atomics.store(this.#ints, at + START, start);
    Atomics.store(this.#ints, at + END, start + extent.lengthBytes);
    Atomics.store(this.#ints, at + ENDS_FILE, extent.endsFile ? 1 : 0);
    Atomics.store(this.#ints, at + NOTIFY, extent.notify ? sequence : 0);
    Atomics.store(this.#ints, at + SEQUENCE, sequence);
  }

  /** Writer only. */
  retract(fileId: number, fileOffset: number): void {
    const unit = Math.floor(fileOffset / this.unitBytes);
    const at = this.#locate(fileId | 0, unit | 0);
    if (at === undefined || unit >= 2 ** 32) return;
    const sequence = this.#beginWrite(at);
    Atomics.store(this.#ints, at + FILE_ID, 0);
    Atomics.store(this.#ints, at + NOTIFY, 0);
    Atomics.store(this.#ints, at + SEQUENCE, sequence);
  }

  /**
   * @param unit - `floor(offset / unitBytes)`, below 2^32
   * @returns whether there is an extent of the unit; `found` then describes it
   */
  find(fileId: number, unit: number, found: FoundExtent): boolean {
    const at = this.#locate(fileId | 0, unit | 0);
    if (at === undefined) return false;
    const ints = this.#ints;
    const sequence = Atomics.load(ints, at + SEQUENCE);
    if ((sequence & 1) !== 0) return false;
    const isSame =
      Atomics.load(ints, at + FILE_ID) === (fileId | 0) &&
      Atomics.load(ints, at + UNIT) === (unit | 0);
    found.slot = Atomics.load(ints, at + SLOT);
    found.generation = Atomics.load(ints, at + GENERATION);
    found.leaseOffset = Atomics.load(ints, at + LEASE_OFFSET);
    found.startInUnit = Atomics.load(ints, at + START);
    found.endInUnit = Atomics.load(ints, at + END);
    found.endsFile = Atomics.load(ints, at + ENDS_FILE) !== 0;
    found.entry = at;
    found.sequence = sequence;
    return isSame && Atomics.load(ints, at + SEQUENCE) === sequence;
  }

  /** @returns true once per publication with `notify`, for one of all threads */
  takeNotify(found: FoundExtent): boolean {
    // The publication's own sequence number is the token, so that a later one is not taken for it.
    const at = found.entry + NOTIFY;
    if (Atomics.load(this.#ints, at) !== found.sequence || found.sequence === 0) return false;
    return Atomics.compareExchange(this.#ints, at, found.sequence, 0) === found.sequence;
  }

  #beginWrite(at: number): number {
    const odd = Atomics.add(this.#ints, at + SEQUENCE, 1) + 1;
    // 0 stands for "nobody is to be told", so the number skips it when it wraps.
    return (odd + 1) | 0 || 2;
  }

  #locate(fileId: number, unit: number): number | undefined {
    const first = this.#setOf(fileId, unit);
    for (let at = first; at < first + WAYS * INTS_PER_ENTRY; at += INTS_PER_ENTRY) {
      if (
        Atomics.load(this.#ints, at + FILE_ID) === fileId &&
        Atomics.load(this.#ints, at + UNIT) === unit
      ) {
        return at;
      }
    }
    return undefined;
  }

  /** The entry to write: of the same key, else a free one, else one after the other. */
  #place(fileId: number, unit: number): number {
    const same = this.#locate(fileId | 0, unit | 0) ?? this.#locateFree(fileId, unit);
    if (same !== undefined) return same;
    this.#victim = (this.#victim + 1) % WAYS;
    return this.#setOf(fileId | 0, unit | 0) + this.#victim * INTS_PER_ENTRY;
  }

  #locateFree(fileId: number, unit: number): number | undefined {
    const first = this.#setOf(fileId | 0, unit | 0);
    for (let at = first; at < first + WAYS * INTS_PER_ENTRY; at += INTS_PER_ENTRY) {
      if (Atomics.load(this.#ints, at + FILE_ID) === 0) return at;
    }
    return undefined;
  }

  /** Mixes both numbers so that neighbouring units and files spread. @see MurmurHash3's finalizer */
  #setOf(fileId: number, unit: number): number {
    let hash = Math.imul(fileId, 0x9e37_79b1) ^ Math.imul(unit, 0x85eb_ca6b);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
    hash ^= hash >>> 16;
    return HEADER_INTS + (hash & (this.#sets - 1)) * WAYS * INTS_PER_ENTRY;
  }
}
