import assert from 'node:assert/strict';

/** Entries that share a hash; a new key replaces one of them when all are in use. */
const WAYS = 8;
/** Of an entry: its sequence number, then the words of its key, then those of its value. */
const SEQUENCE = 0;
const KEY = 1;
/** Header: number of sets, words per key and per value, whether a key was displaced. */
const HEADER_INTS = 16;
const SETS = 0;
const KEY_WORDS = 1;
const VALUE_WORDS = 2;
const DISPLACED = 3;

/** How large a table is. */
export interface SharedTableShape {
  /** 32-bit words of a key, > 0. */
  readonly keyWords: number;
  /** 32-bit words of a value, > 0. */
  readonly valueWords: number;
  /** Entries, rounded up to a power of two ≥ 8; pages are touched only where entries are used. */
  readonly capacity: number;
}

/**
 * A hash table in shared memory from a few 32-bit words to a few others: one thread writes, any
 * thread reads. It forgets keys when it is full, so it is for what can be found elsewhere too.
 *
 * Each entry has a sequence number, odd while it is written: a reader that sees it odd or changed
 * finds nothing. All accesses are `Atomics`, hence sequentially consistent. Keys and values are
 * handed over in arrays of their callers, so that looking up allocates nothing.
 */
export class SharedTable {
  /** Hand this to another thread, which calls {@link SharedTable.attach}. */
  readonly shared: SharedArrayBuffer;
  readonly #ints: Int32Array;
  readonly #sets: number;
  readonly #keyWords: number;
  readonly #valueWords: number;
  readonly #entryInts: number;
  /** Where the values begin in an entry. */
  readonly #values: number;
  #victim = 0;

  private constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#ints = new Int32Array(shared);
    this.#sets = this.#ints[SETS] as number;
    this.#keyWords = this.#ints[KEY_WORDS] as number;
    this.#valueWords = this.#ints[VALUE_WORDS] as number;
    this.#entryInts = entryInts(this.#keyWords, this.#valueWords);
    this.#values = KEY + this.#keyWords;
  }

  static create({ keyWords, valueWords, capacity }: SharedTableShape): SharedTable {
    assert(keyWords > 0 && valueWords > 0 && capacity > 0);
    const sets = 2 ** Math.ceil(Math.log2(Math.max(1, capacity / WAYS)));
    const ints = HEADER_INTS + sets * WAYS * entryInts(keyWords, valueWords);
    const shared = new SharedArrayBuffer(ints * Int32Array.BYTES_PER_ELEMENT);
    new Int32Array(shared).set([sets, keyWords, valueWords]);
    return new SharedTable(shared);
  }

  /** The same table in another thread. */
  static attach(shared: SharedArrayBuffer): SharedTable {
    return new SharedTable(shared);
  }

  /** Writer only. A key of zeros is not kept. */
  set(key: Int32Array, values: Int32Array): void {
    if (this.#isZero(key)) return;
    const at = this.#place(key);
    Atomics.add(this.#ints, at + SEQUENCE, 1);
    this.#store(at + KEY, key, this.#keyWords);
    this.#store(at + this.#values, values, this.#valueWords);
    Atomics.add(this.#ints, at + SEQUENCE, 1);
  }

  /** Writer only. */
  remove(key: Int32Array): void {
    const at = this.#locate(key);
    if (at === undefined) return;
    Atomics.add(this.#ints, at + SEQUENCE, 1);
    for (let word = 0; word < this.#keyWords; word++) {
      Atomics.store(this.#ints, at + KEY + word, 0);
    }
    Atomics.add(this.#ints, at + SEQUENCE, 1);
  }

  /**
   * @param values - receives the words of the value
   * @returns `absent`: the key was never set, or was removed; `unsure`: it may be there, but is being
   *   written or was displaced by another
   */
  find(key: Int32Array, values: Int32Array): 'found' | 'absent' | 'unsure' {
    // Free entries have such a key.
    if (this.#isZero(key)) return 'absent';
    const at = this.#locate(key);
    if (at === undefined) return Atomics.load(this.#ints, DISPLACED) === 0 ? 'absent' : 'unsure';
    const sequence = Atomics.load(this.#ints, at + SEQUENCE);
    for (let word = 0; word < this.#valueWords; word++) {
      values[word] = Atomics.load(this.#ints, at + this.#values + word);
    }
    const isSame =
      this.#isAt(at, key) &&
      (sequence & 1) === 0 &&
      Atomics.load(this.#ints, at + SEQUENCE) === sequence;
    return isSame ? 'found' : 'unsure';
  }

  #store(at: number, words: Int32Array, count: number): void {
    for (let word = 0; word < count; word++) {
      Atomics.store(this.#ints, at + word, words[word] as number);
    }
  }

  #isZero(key: Int32Array): boolean {
    for (let word = 0; word < this.#keyWords; word++) if (key[word] !== 0) return false;
    return true;
  }

  #isAt(at: number, key: Int32Array): boolean {
    for (let word = 0; word < this.#keyWords; word++) {
      if (Atomics.load(this.#ints, at + KEY + word) !== key[word]) return false;
    }
    return true;
  }

  #isFree(at: number): boolean {
    for (let word = 0; word < this.#keyWords; word++) {
      if (Atomics.load(this.#ints, at + KEY + word) !== 0) return false;
    }
    return true;
  }

  #locate(key: Int32Array): number | undefined {
    const first = this.#setOf(key);
    for (let way = 0; way < WAYS; way++) {
      const at = first + way * this.#entryInts;
      if (this.#isAt(at, key)) return at;
    }
    return undefined;
  }

  /** The entry to write: of the same key, else a free one, else one after the other. */
  #place(key: Int32Array): number {
    const same = this.#locate(key);
    if (same !== undefined) return same;
    const first = this.#setOf(key);
    for (let way = 0; way < WAYS; way++) {
      const at = first + way * this.#entryInts;
      if (this.#isFree(at)) return at;
    }
    this.#victim = (this.#victim + 1) % WAYS;
    Atomics.store(this.#ints, DISPLACED, 1);
    return first + this.#victim * this.#entryInts;
  }

  /** Mixes all of the key, so that neighbours spread. @see MurmurHash3 */
  #setOf(key: Int32Array): number {
    let hash = 0;
    for (let word = 0; word < this.#keyWords; word++) {
      hash = Math.imul(hash ^ (key[word] as number), 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
    hash ^= hash >>> 16;
    return HEADER_INTS + (hash & (this.#sets - 1)) * WAYS * this.#entryInts;
  }
}

/** A power of two, so that no entry lies in more cache lines than it must. */
function entryInts(keyWords: number, valueWords: number): number {
  return 2 ** Math.ceil(Math.log2(KEY + keyWords + valueWords));
}
