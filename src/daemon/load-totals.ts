import type { OwnerKind, Usage } from '../meta/write/meta-tx.ts';
import type { VolumeCounters } from '../meta/write/scans.ts';
import { type Ino, ROOT_INO, SPECIAL_INO, TRASH_INO } from '../posix/ino.ts';
import { spaceOfLength } from '../meta/write/node-space.ts';
import type { DumpedAttr } from './dump-values.ts';

const NOTHING: Usage = { space: 0n, inodes: 0n };

/** What a volume that is loaded counts. */
export class LoadTotals {
  #usedBytes = 0n;
  #inodes = 0n;
  #nextInode = 2n;
  #nextChunk = 1n;
  #nextTrash = 0n;
  readonly owners: Readonly<Record<OwnerKind, Map<number, Usage>>> = {
    user: new Map(),
    group: new Map(),
  };

  /** An inode, the first time that it comes. */
  addInode(ino: Ino, { length, uid, gid }: DumpedAttr): void {
    if (ino >= TRASH_INO) this.#nextTrash = max(this.#nextTrash, ino - TRASH_INO);
    else this.#nextInode = max(this.#nextInode, ino + 1n);
    // The two directories that every volume begins with are not counted.
    if (ino === ROOT_INO || ino === TRASH_INO) return;
    const space = spaceOfLength(length);
    this.#usedBytes += space;
    this.#inodes += 1n;
    addTo(this.owners.user, uid, space);
    addTo(this.owners.group, gid, space);
  }

  addSlice(id: bigint): void {
    this.#nextChunk = max(this.#nextChunk, id + 1n);
  }

  /**
   * The counters of the volume. Ids go on where those of the dumped volume ended, also when the last ones
   * are not in use any more: what was cached under them is another file's. (Stock clients begin behind the
   * last that is in use.)
   */
  counters(dumped: Omit<VolumeCounters, 'usedBytes' | 'inodes'>): VolumeCounters {
    const nextInode = max(this.#nextInode, dumped.nextInode);
    return {
      ...{ usedBytes: this.#usedBytes, inodes: this.#inodes },
      nextInode: nextInode < SPECIAL_INO ? nextInode : this.#nextInode,
      nextChunk: max(this.#nextChunk, dumped.nextChunk),
      nextSession: dumped.nextSession,
      nextTrash: max(this.#nextTrash, dumped.nextTrash),
    };
  }
}

function addTo(sums: Map<number, Usage>, id: number, space: bigint): void {
  const sum = sums.get(id) ?? NOTHING;
  sums.set(id, { space: sum.space + space, inodes: sum.inodes + 1n });
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
