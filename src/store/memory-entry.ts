import type { BlockId } from '../block/block-key.ts';
import type { LeaseRef } from '../runtime/lease-table.ts';
import type { Room } from './arena.ts';
import { hashText } from './block-hash.ts';
import { PolicyEntry } from './eviction/policy.ts';

/** A block that lies complete in the arena. */
export class MemoryEntry extends PolicyEntry {
  readonly id: BlockId;
  readonly room: Room<MemoryEntry>;
  readonly lease: LeaseRef;
  /** Used since the policy last asked, as far as it was taken from the lease table already. */
  visited = false;
  /** Found by its id; otherwise its room goes when it is released. */
  isCached = false;

  /** @param slotBytes - what the slot takes, which is what budgets count */
  constructor(id: BlockId, room: Room<MemoryEntry>, lease: LeaseRef, slotBytes: number) {
    super(slotBytes, hashText(id));
    this.id = id;
    this.room = room;
    this.lease = lease;
  }
}
