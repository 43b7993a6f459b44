import { Passthrough, type PassthroughParts } from './passthrough.ts';
import { FileViews, type FileViewsParts } from './views/file-views.ts';
import { ViewPins } from './views/view-pins.ts';

/** What {@link KernelReads} are made of. */
export interface KernelReadsParts
  extends Omit<PassthroughParts, 'views'>,
    Omit<FileViewsParts, 'maker'> {
  readonly viewMaker: FileViewsParts['maker'];
}

/** Files that the kernel reads by itself: which they are, how those of several blocks get ready, at once or by and by. */
export class KernelReads {
  readonly views: FileViews;
  readonly passthrough: Passthrough;
  readonly pins: ViewPins;

  constructor(parts: KernelReadsParts) {
    const { files, viewMaker: maker } = parts;
    const views = new FileViews({ ...parts, maker });
    const passthrough = new Passthrough({ ...parts, views });
    this.views = views;
    this.passthrough = passthrough;
    this.pins = new ViewPins({ views, files, isAttached: () => passthrough.isAttached });
  }
}
