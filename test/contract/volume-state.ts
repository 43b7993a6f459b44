import type { SliceRecord } from '../../src/block/slice-record.ts';
import type { DirQuota } from '../../src/meta/engine.ts';
import type { Attr } from '../../src/posix/attr.ts';

/** A name in a directory; the name's bytes as Latin-1. */
export interface StateEdge {
  readonly parent: bigint;
  readonly name: string;
  readonly ino: bigint;
  readonly type: number;
}

/** What a directory's direct children add up to. */
export interface StateStats {
  readonly length: bigint;
  readonly space: bigint;
  readonly inodes: bigint;
}

/** Everything that a volume's metadata says, read around the engine. */
export interface VolumeState {
  readonly nodes: ReadonlyMap<bigint, Attr>;
  readonly edges: readonly StateEdge[];
  /** Parents of hard-linked inodes, where they are stored apart from the names. */
  readonly links: ReadonlyMap<bigint, ReadonlyMap<bigint, number>> | undefined;
  readonly symlinks: ReadonlyMap<bigint, string>;
  /** By `inode name`. */
  readonly xattrs: ReadonlyMap<string, string>;
  /** By `inode_index`. */
  readonly chunks: ReadonlyMap<string, readonly SliceRecord[]>;
  /** References by `id_size`; where one reference is not stored, it is not here. */
  readonly refs: ReadonlyMap<string, number>;
  readonly storesSingleRefs: boolean;
  /** Slices that compaction has replaced, waiting: `id_size`. */
  readonly delayed: readonly string[];
  readonly usedSpace: bigint;
  readonly totalInodes: bigint;
  readonly dirStats: ReadonlyMap<bigint, StateStats>;
  readonly dirQuotas: ReadonlyMap<bigint, DirQuota>;
  /** By `user 1000`, `group 1000`. */
  readonly ownerQuotas: ReadonlyMap<string, DirQuota>;
  /** Lengths of deleted files whose data is there still. */
  readonly deleted: ReadonlyMap<bigint, bigint>;
  /** `sid inode` */
  readonly sustained: readonly string[];
  /** `kind inode holder value` */
  readonly locks: readonly string[];
}
