import type { FuseContext } from '../../fuse/operations.ts';
import type { WriteCall, MetaWriter } from '../../meta/writer.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Coherence } from '../coherent/coherence.ts';
import type { Files } from '../files.ts';
import type { Nodes } from '../nodes.ts';
import type { OpenFiles } from '../open-files.ts';
import type { VfsOptions } from '../options.ts';
import type { RootMap } from '../root-map.ts';
import type { ToldAttrs } from '../told-attrs.ts';
import type { VirtualNodes } from '../virtual-nodes.ts';
import type { VolumeSetting } from '../../meta/setting.ts';
import type { Writers } from './writers.ts';

/** What changes of a file system work with. */
export interface WriteParts {
  readonly writer: MetaWriter;
  readonly writers: Writers;
  readonly nodes: Nodes;
  readonly files: Files;
  readonly openFiles: OpenFiles;
  readonly told: ToldAttrs;
  readonly coherence: Coherence;
  readonly root: RootMap;
  readonly virtual: VirtualNodes;
  readonly setting: VolumeSetting;
  readonly options: VfsOptions;
  readonly clock: Clock;
  /** Takes note of what other threads have opened. */
  readonly catchUp: () => void;
}

/** The kernel has checked permissions: it knows all groups of the caller, we do not. */
export function callOf({ uid, gid, signal }: FuseContext): WriteCall {
  return { caller: { uid, gid, gids: [gid], checkPerm: false }, signal };
}
