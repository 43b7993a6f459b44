import assert from 'node:assert/strict';
import { crc32cOf, decodeTrailer, unitCount } from '../block/checksum.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { abortReason } from '../runtime/deadline.ts';
import type { LeaseTable } from '../runtime/lease-table.ts';
import { LeaseKind } from '../runtime/lease-table.ts';
import type { Logger } from '../runtime/logger.ts';
import type { BlockIndex } from './block-index.ts';
import type { CacheDisk } from './cache-disk.ts';
import { CacheError } from './cache-error.ts';
import { CacheFile, isOnePiece } from './cache-file.ts';
import { decodeSumsText, hasSumsFile } from './cache-layout.ts';
import type { DiskEntry } from './disk-entry.ts';
import { EntryList } from './eviction/entry-list.ts';
import { LeaseLimbo } from './lease-limbo.ts';
import type { SlotRange } from './slot-range.ts';

/** How often files that worker threads still read are looked at, so that they get closed. */
const LIMBO_POLL_MS = 100;
/** Files that are passed over in one search for one to close. */
const SEARCH_MAX = 64;
/** Behind the checksums in their file: the CRC-32C of the checksums. */
const SUMS_TAIL_BYTES = 4;

/** What {@link OpenFiles} is made of. */
export interface OpenFilesOptions {
  readonly leases: LeaseTable;
  readonly slots: SlotRange;
  /** Files that are kept open; more only while more are in use at once. */
  readonly openFilesMax: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Whether checksums are read at all, and whether each read compares them. */
  readonly checks: { readonly reads: boolean; readonly always: boolean };
  /** Is told which files are published, for threads that serve peers. */
  readonly index?: BlockIndex | undefined;
}

/** A file that is being opened. */
interface Opening {
  /** Who waits for it: users of the file from its first moment, lest it be closed before they run. */
  users: number;
  readonly file: Promise<CacheFile>;
}

/** Keeps the files of used blocks open, within a bound, and publishes them for worker threads. */
export class OpenFiles {
  readonly #options: OpenFilesOptions;
  readonly #files = new EntryList<CacheFile>(1);
  readonly #byEntry = new Map<DiskEntry, CacheFile>();
  readonly #opening = new Map<DiskEntry, Opening>();
  readonly #freeSlots: number[] = [];
  readonly #limbo: LeaseLimbo;
  #timer: Timer | undefined = undefined;

  constructor(options: OpenFilesOptions) {
    this.#options = options;
    this.#limbo = new LeaseLimbo(options.leases);
    const { firstSlot, slotCount } = options.slots;
    for (let slot = firstSlot + slotCount - 1; slot >= firstSlot; slot -= 1) {
      this.#freeSlots.push(slot);
    }
  }

  /** How many files are open and not about to be closed. */
  get open(): number {
    return this.#files.length;
  }

  /**
   * The entry's open file, with one user more: end with {@link release}.
   *
   * @throws CacheError (`damaged`) when its length or its checksums make no sense; the system's
   *   error when it cannot be opened; the signal's reason when aborted
   */
  async acquire(entry: DiskEntry, signal: AbortSignal): Promise<CacheFile> {
    if (signal.aborted) throw abortReason(signal);
    const open = this.#byEntry.get(entry);
    if (open !== undefined) open.users += 1;
    const file = open ?? (await this.#openOnce(entry));
    if (signal.aborted) {
      this.release(file);
      throw abortReason(signal);
    }
    if (!file.isDoomed) {
      this.#files.remove(file);
      this.#files.push(file);
    }
    return file;
  }

  release(file: CacheFile): void {
    file.users -= 1;
    assert(file.users >= 0, 'a cache file is released once');
    if (file.isDoomed && file.users === 0) this.#retire(file);
    else this.#closeSurplus();
  }

  /** From now on worker threads may read the file by themselves, when a slot is free. */
  publish(file: CacheFile): void {
    // While workers leave an old lease behind, a new one would be forgotten when the file is closed.
    if (file.lease !== undefined || file.retiring !== undefined || file.isDoomed) return;
    this.#limbo.poll();
    const slot = this.#freeSlots.pop();
    if (slot === undefined) return;
    const info = {
      kind: LeaseKind.file,
      location: file.fd,
      lengthBytes: file.entry.blockBytes,
    };
    file.lease = this.#options.leases.publish(slot, info);
    if (file.key !== undefined) this.#options.index?.publish(file.key, file.lease);
  }

  /** Whether worker threads read the entry since this was last asked. */
  takeVisited(entry: DiskEntry): boolean {
    const lease = this.#byEntry.get(entry)?.lease;
    return lease !== undefined && this.#options.leases.takeVisited(lease.slot);
  }

  /** Worker threads read no file of this disk by themselves until it is {@link publish}ed again. */
  withdraw(disk: CacheDisk): void {
    for (const [entry, file] of this.#byEntry) {
      if (entry.disk === disk) this.#unpublish(file, () => undefined);
    }
  }

  /** Closes an entry's file as soon as nobody uses it. */
  discard(entry: DiskEntry): void {
    const file = this.#byEntry.get(entry);
    if (file !== undefined) this.#doom(file);
  }

  /** Closes what nobody uses. What is still used is closed when it is released. */
  closeAll(): void {
    for (let file = this.#files.tail; file !== undefined; file = this.#files.tail) this.#doom(file);
  }

  /** Resolves to a file of which the caller is a user. */
  #openOnce(entry: DiskEntry): Promise<CacheFile> {
    const running = this.#opening.get(entry);
    if (running !== undefined) {
      running.users += 1;
      return running.file;
    }
    const opening: Opening = {
      users: 1,
      file: this.#open(entry, () => {
        this.#opening.delete(entry);
        return opening.users;
      }),
    };
    this.#opening.set(entry, opening);
    return opening.file;
  }

  /** @param settle - no more users join from here on; @returns how many there are */
  async #open(entry: DiskEntry, settle: () => number): Promise<CacheFile> {
    const { io } = entry.disk;
    let fd: number | undefined;
    try {
      fd = await io.openFile(entry.path, { flags: 'r' });
      const { reads, always } = this.#options.checks;
      // The first reading of a small file compares its length with its checksums, in one step.
      const tells = reads && !always && !entry.isVerified && isOnePiece(entry);
      if (!tells) checkSize(entry, await io.sizeOf(fd));
      const sums = reads ? await this.#readSums(entry) : undefined;
      const file = new CacheFile(entry, { fd, sums, io, checksAlways: always });
      file.users = settle();
      this.#files.push(file);
      this.#byEntry.set(entry, file);
      // The entry may have gone while its file was being opened.
      if (entry.isGone) this.#doom(file);
      return file;
    } catch (error) {
      settle();
      if (fd !== undefined) this.#close(entry, fd);
      throw error;
    }
  }

  async #readSums(entry: DiskEntry): Promise<Uint32Array> {
    const damage = (how: string) =>
      new CacheError('damaged', `the checksums of cache file ${entry.path} ${how}`);
    if (!hasSumsFile(entry.blockBytes)) {
      const sums = decodeSumsText(entry.sumsText, entry.blockBytes);
      if (sums === undefined) throw damage('make no sense');
      return sums;
    }
    const path = entry.disk.paths.sums(entry.id);
    const bytes = await entry.disk.io.readFile(path).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
        throw damage('are missing');
      }
      throw error;
    });
    const sums = decodeSumsFile(bytes);
    if (sums?.length !== unitCount(entry.blockBytes)) throw damage('are damaged');
    return sums;
  }

  #doom(file: CacheFile): void {
    if (file.isDoomed) return;
    file.isDoomed = true;
    this.#files.remove(file);
    if (this.#byEntry.get(file.entry) === file) this.#byEntry.delete(file.entry);
    if (file.users === 0) this.#retire(file);
    else this.#unpublish(file, () => undefined);
  }

  /** The file has no user on this thread any more; it is closed when worker threads left it too. */
  #retire(file: CacheFile): void {
    this.#unpublish(file, () => this.#close(file.entry, file.fd));
  }

  #unpublish(file: CacheFile, then: () => void): void {
    const waiting = file.retiring;
    if (waiting !== undefined) {
      waiting.push(then);
      return;
    }
    const { lease } = file;
    if (lease === undefined) {
      then();
      return;
    }
    const callbacks = [then];
    file.retiring = callbacks;
    file.lease = undefined;
    if (file.key !== undefined) this.#options.index?.retract(file.key, lease);
    this.#limbo.retire(lease.slot, () => {
      file.retiring = undefined;
      this.#freeSlots.push(lease.slot);
      for (const call of callbacks) call();
    });
    this.#pollLater();
  }

  #closeSurplus(): void {
    this.#limbo.poll();
    let file = this.#files.tail;
    const { openFilesMax, leases } = this.#options;
    for (let looks = 0; looks < SEARCH_MAX && file !== undefined; looks += 1) {
      if (this.#files.length <= openFilesMax) return;
      const newer = file.previous;
      const isUsed = file.lease !== undefined && leases.takeVisited(file.lease.slot);
      if (isUsed) file.entry.visited = true;
      if (isUsed && looks < SEARCH_MAX / 2) {
        this.#files.remove(file);
        this.#files.push(file);
      } else if (file.users === 0) {
        this.#doom(file);
      }
      file = newer;
    }
  }

  #close(entry: DiskEntry, fd: number): void {
    entry.disk.io.close(fd).catch((error: unknown) => {
      this.#options.log.warn({ err: error }, 'a cache file did not close');
    });
  }

  #pollLater(): void {
    if (this.#timer !== undefined || this.#limbo.size === 0) return;
    this.#timer = this.#options.clock.setTimer(LIMBO_POLL_MS, () => {
      this.#timer = undefined;
      this.#limbo.poll();
      this.#pollLater();
    });
  }
}

function checkSize(entry: DiskEntry, size: number): void {
  if (size === entry.blockBytes) return;
  const message = `cache file ${entry.path} has ${size} bytes instead of ${entry.blockBytes}`;
  throw new CacheError('damaged', message);
}

/** Content of a block's file of checksums. */
export function encodeSumsFile(trailer: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(trailer.byteLength + SUMS_TAIL_BYTES);
  bytes.set(trailer);
  new DataView(bytes.buffer).setUint32(trailer.byteLength, crc32cOf(trailer));
  return bytes;
}

/** @returns undefined when it is damaged */
function decodeSumsFile(bytes: Uint8Array): Uint32Array | undefined {
  if (bytes.byteLength <= SUMS_TAIL_BYTES) return undefined;
  const trailer = bytes.subarray(0, -SUMS_TAIL_BYTES);
  const tail = new DataView(bytes.buffer, bytes.byteOffset + trailer.byteLength);
  return tail.getUint32(0) === crc32cOf(trailer) ? decodeTrailer(trailer) : undefined;
}
