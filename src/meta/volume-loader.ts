import type { SliceRecord } from '../block/slice-record.ts';
import type { Attr } from '../posix/attr.ts';
import type { Ino } from '../posix/ino.ts';
import type { AclRule } from './acl.ts';
import type { Edge } from './edge-codec.ts';
import type { DirQuota } from './engine.ts';
import type { DirStats, OwnerKind } from './write/meta-tx.ts';
import type { VolumeCounters } from './write/scans.ts';

/** A part of a volume that is put into an empty database. */
export type LoadRecord =
  | { readonly kind: 'node'; readonly ino: Ino; readonly attr: Attr }
  | { readonly kind: 'edge'; readonly dir: Ino; readonly name: Uint8Array; readonly edge: Edge }
  | { readonly kind: 'symlink'; readonly ino: Ino; readonly target: Uint8Array }
  | {
      readonly kind: 'xattr';
      readonly ino: Ino;
      readonly name: Uint8Array;
      readonly value: Uint8Array;
    }
  | {
      readonly kind: 'chunk';
      readonly ino: Ino;
      readonly index: number;
      readonly records: readonly SliceRecord[];
    }
  | { readonly kind: 'stats'; readonly dir: Ino; readonly stats: DirStats }
  /** Ids begin with 1 and follow each other. */
  | { readonly kind: 'acl'; readonly id: number; readonly rule: AclRule }
  /** One more reference to a slice; `isFirst`: there was none. */
  | {
      readonly kind: 'reference';
      readonly id: bigint;
      readonly size: number;
      readonly isFirst: boolean;
    }
  /** The directories that name an inode beside the one in its attribute, and how often. */
  | { readonly kind: 'links'; readonly ino: Ino; readonly more: ReadonlyMap<Ino, number> }
  /** A deleted file whose data is there still; since when, in Unix seconds. */
  | {
      readonly kind: 'deleted';
      readonly ino: Ino;
      readonly length: bigint;
      readonly seconds: bigint;
    }
  | { readonly kind: 'dirQuota'; readonly dir: Ino; readonly quota: DirQuota }
  | {
      readonly kind: 'ownerQuota';
      readonly owner: OwnerKind;
      readonly id: number;
      readonly quota: DirQuota;
    };

/**
 * Makes a volume in an empty database, in an order of the caller's: `begin`, `put` as often as wanted,
 * `finish`; or `abandon`. Without `finish` there is no volume. One call at a time.
 */
export interface VolumeLoader {
  /** For messages: the URL without its password. */
  readonly displayUrl: string;
  /** @throws MetaError `refused` when the database is not empty; the message tells what it holds */
  begin(signal: AbortSignal): Promise<void>;
  /** @throws MetaError */
  put(records: readonly LoadRecord[], signal: AbortSignal): Promise<void>;
  /** @param setting - as it is to be stored. @throws MetaError */
  finish(setting: Uint8Array, counters: VolumeCounters, signal: AbortSignal): Promise<void>;
  /** Makes the database empty again. @throws MetaError when it may not be */
  abandon(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
