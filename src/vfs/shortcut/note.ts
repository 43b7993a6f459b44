import { decodeAttr } from '../../meta/attr-codec.ts';
import type { Attr } from '../../posix/attr.ts';
import { type Ino, toIno } from '../../posix/ino.ts';
import { SlotRing } from '../../runtime/slot-ring.ts';
import type { Adopted } from '../open-files.ts';

/** Where the fields of a note lie. */
const KIND = 0;
const HANDLE = 4;
const INO = 8;
const FILE_ID = 16;
const ATTR_BYTES = 20;
const TICKET = 24;
const IS_HELD = 28;
const ATTR = 32;
/** Of a name, in place of an attribute: 255 bytes at most. */
const NAME = 32;
const SLOT_BYTES = 288;
const SLOTS = 4096;

const Kind = { told: 1, opened: 2, released: 3, named: 4, reopened: 5 } as const;

/** Longest stored attribute that fits: 81 bytes is what clients write at most. */
export const NOTE_ATTR_BYTES_MAX = 96;

/** What another thread has done. */
export type Note =
  /** The kernel was told an attribute of a file, or one that it holds until it changes. */
  | { readonly kind: 'told'; readonly ino: Ino; readonly attr: Attr; readonly isHeld: boolean }
  /** The kernel was told a name that it holds until it changes. */
  | { readonly kind: 'named'; readonly directory: Ino; readonly name: Uint8Array }
  /** A file was opened. */
  | (Adopted & { readonly kind: 'opened'; readonly handle: number })
  /** The kernel did not take the answer to an open. */
  | { readonly kind: 'released'; readonly handle: number };

/** Where the bytes of a stored attribute are. */
export interface StoredAttr {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly length: number;
}

/** Notes of one other thread for the main thread, in order. */
export class Notes {
  readonly shared: SharedArrayBuffer;
  readonly #ring: SlotRing;

  private constructor(ring: SlotRing) {
    this.#ring = ring;
    this.shared = ring.shared;
  }

  /** @param slots - notes that fit, a power of two */
  static create(slots = SLOTS): Notes {
    return new Notes(SlotRing.create(SLOT_BYTES, slots));
  }

  static attach(shared: SharedArrayBuffer): Notes {
    return new Notes(SlotRing.attach(shared));
  }

  /** The main thread should take notes soon. */
  get areMany(): boolean {
    return this.#ring.used > this.#ring.slots / 2;
  }

  /** Whether two more notes fit. */
  get haveRoom(): boolean {
    return this.#ring.used <= this.#ring.slots - 2;
  }

  /** @returns false when there is no room */
  told(ino: { low: number; high: number }, attr: StoredAttr, isHeld: boolean): boolean {
    const at = this.#begin(Kind.told, attr);
    if (at === -1) return false;
    this.#ring.view.setUint32(at + IS_HELD, isHeld ? 1 : 0, true);
    this.#end(at, ino.low, ino.high);
    return true;
  }

  /** @param name - 255 bytes at most. @returns false when there is no room */
  named(directory: { low: number; high: number }, name: Uint8Array): boolean {
    const at = this.#ring.claim();
    if (at === -1) return false;
    const { view, bytes } = this.#ring;
    view.setUint32(at + KIND, Kind.named, true);
    view.setUint32(at + ATTR_BYTES, name.byteLength, true);
    for (let index = 0; index < name.byteLength; index++) {
      bytes[at + NAME + index] = name[index] as number;
    }
    this.#end(at, directory.low, directory.high);
    return true;
  }

  /** @returns false when there is no room */
  opened(
    ino: { low: number; high: number },
    opened: { handle: number; fileId: number; ticket: number },
    attr: StoredAttr,
  ): boolean {
    const at = this.#begin(Kind.opened, attr);
    if (at === -1) return false;
    this.#ring.view.setUint32(at + HANDLE, opened.handle, true);
    this.#ring.view.setUint32(at + FILE_ID, opened.fileId, true);
    this.#ring.view.setUint32(at + TICKET, opened.ticket, true);
    this.#end(at, ino.low, ino.high);
    return true;
  }

  /** A file was opened with what was known of it. There must be room. */
  reopened(ino: { low: number; high: number }, opened: { handle: number; fileId: number }): void {
    const at = this.#ring.claim();
    if (at === -1) throw new Error('a note without room');
    this.#ring.view.setUint32(at + KIND, Kind.reopened, true);
    this.#ring.view.setUint32(at + HANDLE, opened.handle, true);
    this.#ring.view.setUint32(at + FILE_ID, opened.fileId, true);
    this.#end(at, ino.low, ino.high);
  }

  /** There must be room. */
  released(handle: number): void {
    const at = this.#ring.claim();
    if (at === -1) throw new Error('a note without room');
    this.#ring.view.setUint32(at + KIND, Kind.released, true);
    this.#ring.view.setUint32(at + HANDLE, handle, true);
    this.#ring.push();
  }

  /** Main thread: takes the oldest note. */
  take(): Note | undefined {
    const at = this.#ring.peek();
    if (at === -1) return undefined;
    const note = this.#read(at);
    this.#ring.drop();
    return note;
  }

  #begin(kind: number, { bytes, start, length }: StoredAttr): number {
    const at = this.#ring.claim();
    if (at === -1 || length > NOTE_ATTR_BYTES_MAX) return -1;
    const { view, bytes: into } = this.#ring;
    view.setUint32(at + KIND, kind, true);
    view.setUint32(at + ATTR_BYTES, length, true);
    for (let index = 0; index < length; index++) {
      into[at + ATTR + index] = bytes[start + index] as number;
    }
    return at;
  }

  #end(at: number, inoLow: number, inoHigh: number): void {
    this.#ring.view.setUint32(at + INO, inoLow, true);
    this.#ring.view.setUint32(at + INO + 4, inoHigh, true);
    this.#ring.push();
  }

  #read(at: number): Note {
    const { view, bytes } = this.#ring;
    const handle = view.getUint32(at + HANDLE, true);
    const kind = view.getUint32(at + KIND, true);
    if (kind === Kind.released) return { kind: 'released', handle };
    const length = view.getUint32(at + ATTR_BYTES, true);
    const ino = toIno(view.getBigUint64(at + INO, true));
    const fileId = view.getUint32(at + FILE_ID, true);
    if (kind === Kind.reopened) return { kind: 'opened', ino, seen: undefined, handle, fileId };
    if (kind === Kind.named) {
      return { kind: 'named', directory: ino, name: bytes.slice(at + NAME, at + NAME + length) };
    }
    const attr = decodeAttr(bytes.slice(at + ATTR, at + ATTR + length));
    if (attr === undefined) throw new Error('a note with an attribute that was decoded before');
    const isHeld = view.getUint32(at + IS_HELD, true) === 1;
    if (kind === Kind.told) return { kind: 'told', ino, attr, isHeld };
    const ticket = view.getUint32(at + TICKET, true);
    return { kind: 'opened', ino, seen: { attr, ticket }, handle, fileId };
  }
}
