import assert from 'node:assert/strict';
import { FsError } from '../posix/errno.ts';

const HANDLE_MAX = 0xffff_ffff;

/** Numbers for what the kernel has open: 1 … 2^32 − 1, taken in turn so that none comes back soon. */
export class HandleTable<Value> {
  readonly #max: number;
  readonly #values = new Map<number, Value>();
  readonly #reserved = new Set<number>();
  #last = 0;

  /** @param max - how many at once */
  constructor(max: number) {
    this.#max = max;
  }

  /** How many are open. */
  get size(): number {
    return this.#values.size;
  }

  /** @throws FsError ENFILE when too many are open */
  add(value: Value): number {
    if (this.#values.size >= this.#max)
      throw new FsError('ENFILE', `${this.#max} handles are open`);
    const handle = this.#next();
    this.#values.set(handle, value);
    return handle;
  }

  /** Sets a number aside, for {@link fill}. @returns undefined when too many are open */
  reserve(): number | undefined {
    if (this.#values.size + this.#reserved.size >= this.#max) return undefined;
    const handle = this.#next();
    this.#reserved.add(handle);
    return handle;
  }

  /** Opens a number that was reserved. */
  fill(handle: number, value: Value): void {
    assert(this.#reserved.delete(handle), `handle ${handle} was not reserved`);
    this.#values.set(handle, value);
  }

  /** @throws FsError EBADF when there is no such handle */
  get(handle: number): Value {
    const value = this.#values.get(handle);
    if (value === undefined) throw new FsError('EBADF', `no handle ${handle}`);
    return value;
  }

  /** Like {@link get} for callers that have nobody to complain to. */
  find(handle: number): Value | undefined {
    return this.#values.get(handle);
  }

  /** @returns what it was, undefined when there was none */
  remove(handle: number): Value | undefined {
    const value = this.#values.get(handle);
    this.#values.delete(handle);
    return value;
  }

  #next(): number {
    do {
      this.#last = this.#last === HANDLE_MAX ? 1 : this.#last + 1;
    } while (this.#values.has(this.#last) || this.#reserved.has(this.#last));
    return this.#last;
  }
}
