import type { BlockBytes } from '../mesh/loader.ts';

/** Zeros for holes; nobody writes here. */
const ZEROS = new Uint8Array(1024 * 1024);

/** Bytes of several blocks, in order, that are released together. */
export class HeldParts {
  readonly #parts: (readonly Uint8Array[] | undefined)[];
  readonly #held: BlockBytes[] = [];
  #released = false;

  /** @param count - places to be filled */
  constructor(count: number) {
    this.#parts = Array.from({ length: count });
  }

  /** Whether nobody wants the bytes any more. */
  get released(): boolean {
    return this.#released;
  }

  /** Fills a place. What arrives after {@link release} is released at once. */
  put(place: number, block: BlockBytes): void {
    if (this.#released) {
      block.release();
      return;
    }
    this.#held.push(block);
    this.#parts[place] = [block.bytes];
  }

  /** Fills a place with zeros. */
  putZeros(place: number, length: number): void {
    const parts: Uint8Array[] = [];
    for (let left = length; left > 0; left -= ZEROS.byteLength) {
      parts.push(ZEROS.subarray(0, Math.min(left, ZEROS.byteLength)));
    }
    this.#parts[place] = parts;
  }

  /** The bytes; every place is filled. */
  bytes(): Uint8Array[] {
    return this.#parts.flatMap((parts) => parts ?? []);
  }

  /** Lets go of all blocks; later calls do nothing. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    for (const block of this.#held) block.release();
  }
}
