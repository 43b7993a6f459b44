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
  full: 'there are as many views as the limit of open files (ulimit -n) allows',
  failed: 'the cache disk failed',
  unable: 'the cache disk shares no room between files',
  large: 'it has more than 65,536 parts, or is longer than 1 TiB',
  changed: 'it was changed meanwhile',
};

/** What {@link ViewPins} work with. */
export interface ViewPinsParts {
  readonly views: FileViews;
  readonly files: OpenFiles;
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
   * Resolves when a file of more than one block has a view.
   *
   * @param before - files that the same job has made ready before: a further one takes no place of theirs
   * @throws PinError; what reading the metadata throws; the signal's reason when aborted
   */
  async pin(node: FoundNode, before: number, signal: AbortSignal): Promise<void> {
    const { views } = this.#parts;
    if (before >= views.most) throw noView('full');
    let miss = await this.#make(node, signal);
    if (miss === 'missing') {
      // What lay in memory counts as held while it is being written.
      await views.written();
      miss = await this.#make(node, signal);
    }
    if (miss !== undefined) throw noView(miss);
  }

  async #make(
    { ino, attr, ticket }: FoundNode,
    signal: AbortSignal,
  ): Promise<ViewMiss | undefined> {
    const { views, files } = this.#parts;
    const file = files.open(ino, attr, ticket);
    const { version } = file;
    try {
      const made = await views.make(file, signal);
      return typeof made === 'string' ? made : undefined;
    } finally {
      files.close(file, version);
    }
  }
}

function noView(miss: ViewMiss): PinError {
  return new PinError('no-view', `no view: ${WHY[miss]}`);
}
