import { type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { ViewPart } from '../block/view-spec.ts';
import type { DiskTier, MadeView, ViewRefusal } from '../store/tier.ts';
import type { CachedFile } from './loader.ts';

/** What a file is made of, in part: bytes of a block, and where in the file they are. */
export interface FilePart {
  readonly at: number;
  readonly key: BlockKey;
  readonly inBlock: ByteRange;
}

/** A whole file in a file of its own, put together from blocks of the cache without copying. */
export interface FileView extends CachedFile {
  /** No other view has it. */
  readonly name: string;
  readonly claim: NonNullable<CachedFile['claim']>;
  /** It is opened: its blocks count as used. */
  used(): void;
  /** Nobody is to open it any more. */
  end(): void;
}

/** Makes views of files that lie in this node's disk cache. */
export interface ViewMaker {
  /** Why there are no views at all; undefined: there can be. */
  readonly unfit: string | undefined;
  /** So many there can be. */
  readonly most: number;
  /** Whether a block lies on the disk, as far as can be said without looking. */
  holds(key: BlockKey): boolean;
  /** Resolves when blocks that are to be written to the disk are there, or will not come. */
  written(): Promise<void>;
  /**
   * @param file - its parts are ascending and disjoint; what lies between them is zeros
   * @throws the signal's reason when aborted
   */
  make(
    file: { readonly lengthBytes: number; readonly parts: readonly FilePart[] },
    signal: AbortSignal,
  ): Promise<FileView | ViewRefusal>;
}

/** Why there is no view. */
export type { ViewRefusal };

/** {@link ViewMaker} of the disk tier. */
export class LocalViews implements ViewMaker {
  readonly #disk: DiskTier | undefined;
  #last = 0;

  /** @param disk - undefined: there is none, and no view */
  constructor(disk: DiskTier | undefined) {
    this.#disk = disk;
  }

  get unfit(): string | undefined {
    const views = this.#disk?.views;
    return views === undefined ? 'there is no cache directory for it' : views.unfit;
  }

  get most(): number {
    return this.#disk?.views?.most ?? 0;
  }

  holds(key: BlockKey): boolean {
    return this.#disk?.has(blockIdOf(key)) === true;
  }

  async written(): Promise<void> {
    await this.#disk?.flushed();
  }

  async make(
    { lengthBytes, parts }: { lengthBytes: number; parts: readonly FilePart[] },
    signal: AbortSignal,
  ): Promise<FileView | ViewRefusal> {
    const views = this.#disk?.views;
    if (views === undefined) return 'unable';
    const made = await views.make({ lengthBytes, parts: parts.map(partOf) }, signal);
    return typeof made === 'string' ? made : this.#name(made);
  }

  #name(made: MadeView): FileView {
    this.#last += 1;
    const { fd, lengthBytes, standing } = made;
    return {
      ...{ name: `view ${this.#last}`, fd, lengthBytes, standing },
      claim: { hold: () => made.hold(), letGo: () => made.letGo() },
      used: () => made.used(),
      end: () => made.end(),
    };
  }
}

function partOf({ at, key, inBlock }: FilePart): ViewPart {
  return { at, id: blockIdOf(key), blockBytes: key.sizeBytes, inBlock };
}
