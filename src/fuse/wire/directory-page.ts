import type { FileType } from '../../posix/attr.ts';
import { modeOf } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import { inodeOf } from '../node-alias.ts';
import type { DirEntryReply } from '../operations.ts';
import { ENTRY_BYTES, writeEntry } from './replies.ts';

/** Bytes of `struct fuse_dirent` in front of the name: ino u64, off u64, namelen u32, type u32. */
const DIRENT_BYTES = 24;
const ALIGNMENT = 8;
const FORMAT_SHIFT = 12;

/** Packs the answer of READDIR or READDIRPLUS: records padded to 8 bytes, as many as fit. */
export class DirectoryPage {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #plus: boolean;
  /** Inodes of which the kernel will hold one reference more once it has taken the page. */
  readonly lookedUp: Ino[] = [];
  #at = 0;
  #refused = false;

  /**
   * @param sizeBytes - what the kernel asked for
   * @param plus - each record begins with the name's `struct fuse_entry_out`
   */
  constructor(sizeBytes: number, plus: boolean) {
    this.#bytes = new Uint8Array(sizeBytes);
    this.#view = new DataView(this.#bytes.buffer);
    this.#plus = plus;
  }

  /** Not even one entry fits: an empty answer would tell the kernel that the listing has ended. */
  get isTooSmall(): boolean {
    return this.#refused && this.#at === 0;
  }

  /**
   * `.` and `..` must come without attributes: the kernel counts no reference for them.
   *
   * @returns whether the entry fits; when false nothing was added and nothing may follow
   */
  add(entry: DirEntryReply): boolean {
    const prefixBytes = this.#plus ? ENTRY_BYTES : 0;
    const unpadded = prefixBytes + DIRENT_BYTES + entry.name.byteLength;
    const length = Math.ceil(unpadded / ALIGNMENT) * ALIGNMENT;
    if (this.#refused || this.#at + length > this.#bytes.byteLength) {
      this.#refused = true;
      return false;
    }
    // Without attributes the node id stays 0 and the kernel takes only the name.
    if (this.#plus && entry.entry !== undefined) {
      writeEntry(this.#view, this.#at, entry.entry);
      this.lookedUp.push(entry.entry.ino);
    }
    const at = this.#at + prefixBytes;
    this.#view.setBigUint64(at, inodeOf(entry.ino), true);
    this.#view.setBigUint64(at + 8, entry.nextOffset, true);
    this.#view.setUint32(at + 16, entry.name.byteLength, true);
    this.#view.setUint32(at + 20, directoryType(entry.type), true);
    this.#bytes.set(entry.name, at + DIRENT_BYTES);
    this.#at += length;
    return true;
  }

  /** The packed records. */
  get payload(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }
}

/** `d_type`: the format bits of the mode. @see readdir(3) */
function directoryType(type: FileType): number {
  return modeOf({ type, mode: 0 }) >> FORMAT_SHIFT;
}
