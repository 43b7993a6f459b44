import type { LeaseTable } from '../../runtime/lease-table.ts';
import { LeaseKind } from '../../runtime/lease-table.ts';
import type { ExtentMap } from '../extent-map.ts';
import { FoundExtent } from '../extent-map.ts';
import type { WorkerDevice } from './worker-device.ts';

/** A read that spans more extents than this is left to the main thread. */
const PIECES_MAX = 24;

/** A part of a read that lies in one extent whose lease is pinned. */
class Piece {
  readonly extent = new FoundExtent();
  /** Where the bytes begin in the file, and in the lease. */
  fileOffset = 0;
  offset = 0;
  length = 0;
}

/**
 * Answers reads from extents, in a worker thread. Bytes stay pinned from before they are looked at
 * until the kernel has them.
 */
export class ExtentReader {
  readonly #extents: ExtentMap;
  readonly #leases: LeaseTable;
  readonly #pieces = Array.from({ length: PIECES_MAX }, () => new Piece());
  #count = 0;
  /** File offsets at which the last answer read extents that want to be notified about. */
  readonly touched: number[] = [];
  /** Bytes of the last answer by where they came from. */
  memoryBytes = 0;
  fileBytes = 0;

  constructor(extents: ExtentMap, leases: LeaseTable) {
    this.#extents = extents;
    this.#leases = leases;
  }

  /**
   * Answers the device's request with `length` bytes of a file, and sets {@link touched}.
   *
   * @returns 0, the positive errno of a refused reply, or −1 when extents do not cover the read;
   * nothing was sent then
   */
  answer(device: WorkerDevice, fileId: number, offset: number, length: number): number {
    this.touched.length = 0;
    this.memoryBytes = 0;
    this.fileBytes = 0;
    const isCovered = this.#pinAll(fileId, offset, length);
    try {
      if (!isCovered) return -1;
      const result = this.#send(device);
      if (result === 0) this.#account();
      return result;
    } finally {
      this.#unpinAll();
    }
  }

  #pinAll(fileId: number, offset: number, length: number): boolean {
    const { unitBytes } = this.#extents;
    this.#count = 0;
    let at = offset;
    let left = length;
    while (left > 0) {
      const unit = Math.floor(at / unitBytes);
      if (unit >= 2 ** 32 || this.#count === PIECES_MAX) return false;
      const inUnit = at - unit * unitBytes;
      const piece = this.#pieces[this.#count] as Piece;
      if (!this.#pin(piece, fileId, unit)) return false;
      const { extent } = piece;
      if (inUnit < extent.startInUnit) return false;
      const available = extent.endInUnit - inUnit;
      piece.fileOffset = at;
      piece.offset = extent.leaseOffset + inUnit - extent.startInUnit;
      piece.length = Math.max(0, Math.min(left, available));
      at += piece.length;
      left -= piece.length;
      if (left === 0 || extent.endsFile) return true;
      if (extent.endInUnit !== unitBytes) return false;
    }
    return true;
  }

  #pin(piece: Piece, fileId: number, unit: number): boolean {
    const { extent } = piece;
    if (!this.#extents.find(fileId, unit, extent)) return false;
    if (!this.#leases.pin(extent.slot, extent.generation)) return false;
    this.#count += 1;
    const end = extent.leaseOffset + extent.endInUnit - extent.startInUnit;
    return end <= this.#leases.lengthBytes(extent.slot);
  }

  #unpinAll(): void {
    for (let index = 0; index < this.#count; index++) {
      this.#leases.unpin((this.#pieces[index] as Piece).extent.slot);
    }
    this.#count = 0;
  }

  #send(device: WorkerDevice): number {
    const only = this.#pieces[0] as Piece;
    if (this.#count === 1 && this.#leases.kind(only.extent.slot) === LeaseKind.file) {
      const fd = this.#leases.location(only.extent.slot);
      const result = device.sendFile(fd, only.offset, only.length);
      if (result !== -1) return result;
    }
    device.begin();
    for (let index = 0; index < this.#count; index++) {
      if (!this.#add(device, this.#pieces[index] as Piece)) return -1;
    }
    return device.send();
  }

  #add(device: WorkerDevice, { extent, offset, length }: Piece): boolean {
    if (length === 0) return true;
    const location = this.#leases.location(extent.slot);
    if (this.#leases.kind(extent.slot) === LeaseKind.file) {
      return device.addFile(location, offset, length);
    }
    device.addMemory(location + offset, length);
    return true;
  }

  #account(): void {
    for (let index = 0; index < this.#count; index++) {
      const { extent, fileOffset, length } = this.#pieces[index] as Piece;
      if (this.#leases.kind(extent.slot) === LeaseKind.file) this.fileBytes += length;
      else this.memoryBytes += length;
      if (this.#extents.takeNotify(extent)) this.touched.push(fileOffset);
    }
  }
}
