import type { DiskQuality } from '../disk/sim-disk.ts';
import type { LinkQuality } from '../network/link-rules.ts';
import type { OriginQuality } from '../origin/sim-origin.ts';

/** What goes wrong, without when. Nodes are numbers from 0. */
export type FaultKind =
  /** The daemon is killed, or its machine loses power; it is started again later. */
  | {
      readonly kind: 'crash';
      readonly node: number;
      readonly power: boolean;
      readonly keepCache: boolean;
    }
  /** The daemon ends in order and is started again later. */
  | { readonly kind: 'stop'; readonly node: number }
  /** SIGSTOP, then SIGCONT. */
  | { readonly kind: 'pause'; readonly node: number }
  /** No packet passes between `side` and the others. */
  | { readonly kind: 'partition'; readonly side: readonly number[] }
  /** No packet passes in this direction. */
  | { readonly kind: 'cut'; readonly from: number; readonly to: number }
  /** Links are slow, lossy, …; without `node` all of them, else those of that node. */
  | {
      readonly kind: 'link';
      readonly node: number | undefined;
      readonly quality: Partial<LinkQuality>;
    }
  /** All connections of a node break at once. */
  | { readonly kind: 'reset'; readonly node: number }
  | { readonly kind: 'disk'; readonly node: number; readonly quality: Partial<DiskQuality> }
  /** Bits of files in a cache turn around; with `restart` while the daemon is not there. */
  | {
      readonly kind: 'flip-bits';
      readonly node: number;
      readonly count: number;
      readonly restart: boolean;
    }
  | { readonly kind: 'origin'; readonly quality: Partial<OriginQuality> }
  /** A node's clocks go wrong. */
  | {
      readonly kind: 'clock';
      readonly node: number;
      readonly wallOffsetMs: number;
      readonly rate: number;
    }
  /** A node's share of the blocks changes, for good. */
  | { readonly kind: 'weight'; readonly node: number; readonly weight: number }
  /** The metadata engine does not answer: nobody is discovered. */
  | { readonly kind: 'metadata' }
  /** Somebody who does not know the group's secret asks a node for blocks. */
  | { readonly kind: 'stranger'; readonly node: number };

/** Something that goes wrong at a time, and for how long. */
export type Fault = FaultKind & {
  readonly atMs: number;
  /** 0 for what has no end of its own. */
  readonly forMs: number;
};
