import type { Attr } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Caller } from '../caller.ts';
import type { Edge } from '../edge-codec.ts';
import type { RenameFlags } from '../writer.ts';
import type { DirLedger } from './dir-ledger.ts';
import type { MetaTx, Usage } from './meta-tx.ts';

/** Arguments of `renameName`. */
export interface RenameName {
  readonly from: { readonly parent: Ino; readonly name: Uint8Array };
  readonly to: { readonly parent: Ino; readonly name: Uint8Array };
  readonly flags: RenameFlags;
  /** The hourly directory for what is replaced; undefined: it is gone. */
  readonly trash: Ino | undefined;
  readonly caller: Caller;
  /** What the directories that `renameName` asked for hold, themselves included. */
  readonly summaries: ReadonlyMap<Ino, Usage>;
}

/** Usage that a rename moves from one quota to another. */
interface MovedUsage {
  readonly moved: Usage;
  readonly swapped: Usage;
  /** Directories whose usage must be summed up first. */
  readonly unknown: readonly Ino[];
}

/** The ledgers of both parents, which may be the same. */
export interface RenameLedgers {
  readonly src: DirLedger;
  readonly dst: DirLedger;
  /** Whether different quotas apply. */
  readonly isAcross: boolean;
  usageOf(tx: MetaTx, state: RenameState): Promise<MovedUsage>;
  /** @throws FsError EDQUOT */
  check(moved: Usage, swapped: Usage): void;
}

/** The names and inodes of a rename as they are before it. */
export interface RenameState {
  readonly args: RenameName;
  readonly isSameParent: boolean;
  readonly srcDir: Attr;
  readonly dstDir: Attr;
  readonly src: Edge;
  readonly srcAttr: Attr;
  /** What has the new name; undefined when nothing has. */
  readonly dst: Edge | undefined;
  /** Undefined also when the inode is missing. */
  readonly dstAttr: Attr | undefined;
  readonly ledgers: RenameLedgers;
}
