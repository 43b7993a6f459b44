import { CodedError } from '../../runtime/coded-error.ts';
import type { FoundNode } from '../warm/tree-walk.ts';
import type { OpenFiles } from '../open-files.ts';
import type { FileViews, ViewMiss } from './file-views.ts';

/** A file cannot be prepared for the kernel to read by itself; the text says why. */
export class PinError extends CodedError<'no-view'> {}

/** What was in the way, in words. */
const WHY: Readonly<Record<ViewMiss, string>> = {
  missing: 'not all of its blocks stayed on the disk of this node',
  unaligned: 'its slices begin or end beside the pages of the cache disk (compacting may help)',
  full: 'there are as many views as the limit of open files allows',
  failed: 'the cache disk failed',
  unable: 'the cache disk shares no room between files',
  large: 'it has more than 65,536 parts',
  changed: 'it was changed meanwhile',
};

/** What {@link ViewPins} work with. */
export interface ViewPinsParts {
  readonly views: FileViews;
  readonly files: OpenFiles;
  readonly blockBytes: number;
  /** Whether the kernel reads anything by itself. */
  readonly isAttached: () => boolean;
}

/** Makes files ready at once, whose blocks are on this node's disk, for the kernel to read them by itself. */
export class ViewPins {
  readonly #parts: ViewPinsParts;

  constructor(parts: ViewPinsParts) {
    this.#parts = parts;
  }

  /** Why that cannot be done on this mount; undefined: it can. */
  get unfit(): string | undefined {
    const { views, isAttached } = this.#parts;
    if (!isAttached()) return 'on this mount the kernel reads nothing by itself (--passthrough)';
    return views.unfit;
  }

  /**
   * Does nothing for a file of one block, which needs no view.
   *
   * @returns whether the file has a view now
   * @throws PinError; what reading the metadata throws; the signal's reason when aborted
   */
  async pin({ ino, attr, ticket }: FoundNode, signal: AbortSignal): Promise<boolean> {
    const { views, files, blockBytes } = this.#parts;
    if (Number(attr.length) <= blockBytes) return false;
    // What was just fetched, or lies in memory, counts as held while it is being written.
    await views.written();
    const file = files.open(ino, attr, ticket);
    const { version } = file;
    try {
      const made = await views.make(file, signal);
      if (typeof made === 'string') throw new PinError('no-view', `no view: ${WHY[made]}`);
      return true;
    } finally {
      files.close(file, version);
    }
  }
}
