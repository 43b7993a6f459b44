/** Slots of the lease table that belong to one tier. */
export interface SlotRange {
  readonly firstSlot: number;
  readonly slotCount: number;
}
