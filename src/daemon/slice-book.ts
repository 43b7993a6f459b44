import type { BlockKey } from '../block/block-key.ts';

/** Slices that the metadata knows, and what for. */
export class SliceBook<Kind extends string> {
  readonly #blockBytes: number;
  readonly #slices = new Map<bigint, { readonly sizes: Set<number>; readonly kind: Kind }>();

  constructor(blockBytes: number) {
    this.#blockBytes = blockBytes;
  }

  /** What is noted first stays: begin with what matters most. */
  note(sliceId: bigint, sizeBytes: number, kind: Kind): void {
    const known = this.#slices.get(sliceId);
    if (known === undefined) this.#slices.set(sliceId, { sizes: new Set([sizeBytes]), kind });
    else known.sizes.add(sizeBytes);
  }

  /** What a block belongs to; undefined when no slice has such a block. */
  kindOf({ sliceId, index, sizeBytes }: BlockKey): Kind | undefined {
    const known = this.#slices.get(sliceId);
    if (known === undefined) return undefined;
    const startBytes = index * this.#blockBytes;
    for (const size of known.sizes) {
      if (sizeBytes === Math.min(this.#blockBytes, size - startBytes)) return known.kind;
    }
    return undefined;
  }
}
