import assert from 'node:assert/strict';
import type { Attr } from '../posix/attr.ts';
import type { Ino } from '../posix/ino.ts';
import type { Clock } from '../runtime/clock.ts';
import { FileVersion } from './file-version.ts';

/** A file that was opened: what we know of it. */
export interface OpenFile {
  readonly ino: Ino;
  attr: Attr;
  version: FileVersion;
  /** When the request was made that `attr` comes from: its {@link Ticket}. */
  ticket: Ticket;
  /** When `attr` was last confirmed. */
  checkedAtMs: number;
  /** Open handles. */
  handles: number;
}

/** Orders metadata requests by when they were made. */
export type Ticket = number & { readonly __brand: 'Ticket' };

/** Files that nobody has open are kept this long: 12 h, as JuiceFS does. */
const IDLE_MAX_MS = 12 * 3600 * 1000;
const FILE_ID_MAX = 0xffff_ffff;

/**
 * The user-space table of opened files. Attributes that come by, from whichever request, refresh it;
 * one that shows another content ends the version, and with it everything derived.
 *
 * Replies can overtake each other. What a request saw that was made before the one we last believed
 * is not newer than it for any writer that had closed the file by then: it is ignored.
 */
export class OpenFiles {
  readonly #limit: number;
  readonly #clock: Clock;
  readonly #onEnd: (version: FileVersion) => void;
  readonly #busy = new Map<Ino, OpenFile>();
  /** Least recently closed first. */
  readonly #idle = new Map<Ino, OpenFile>();
  readonly #fileIds = new Set<number>();
  #lastFileId = 0;
  #lastTicket = 0;

  /**
   * @param options - `limit`: files kept, 0 = any number; `onEnd`: called when a version is no
   *   longer the file's content or is forgotten
   */
  constructor(options: { limit: number; clock: Clock; onEnd: (version: FileVersion) => void }) {
    this.#limit = options.limit;
    this.#clock = options.clock;
    this.#onEnd = options.onEnd;
  }

  /** How many files are kept. */
  get size(): number {
    return this.#busy.size + this.#idle.size;
  }

  /** To be taken before a metadata request is made. */
  ticket(): Ticket {
    this.#lastTicket += 1;
    return this.#lastTicket as Ticket;
  }

  /** What is known of a file. */
  find(ino: Ino): OpenFile | undefined {
    return this.#busy.get(ino) ?? this.#idle.get(ino);
  }

  /** Takes note of an attribute. @returns the attribute to believe */
  observe(ino: Ino, attr: Attr, ticket: Ticket): Attr {
    const file = this.find(ino);
    if (file === undefined) return attr;
    this.#refresh(file, attr, ticket);
    return file.attr;
  }

  /** Opens a file for one more handle, with the attribute that was just asked for. */
  open(ino: Ino, attr: Attr, ticket: Ticket): OpenFile {
    const known = this.find(ino);
    if (known !== undefined) {
      this.#refresh(known, attr, ticket);
      return this.#hold(known);
    }
    const version = this.#newVersion(ino, attr);
    const checkedAtMs = this.#clock.nowMs();
    return this.#hold({ ino, attr, version, ticket, checkedAtMs, handles: 0 });
  }

  /** Opens a file for one more handle with what is known of it, which must be something. */
  reopen(ino: Ino): OpenFile {
    const known = this.find(ino);
    assert(known !== undefined, `inode ${ino} was never opened`);
    return this.#hold(known);
  }

  #hold(file: OpenFile): OpenFile {
    const { ino } = file;
    file.handles += 1;
    file.version.handles += 1;
    this.#idle.delete(ino);
    this.#busy.set(ino, file);
    this.#evict();
    return file;
  }

  /** Ends a handle. @param opened - the version that was current when it was opened */
  close(file: OpenFile, opened: FileVersion): void {
    opened.handles -= 1;
    this.#freeId(opened);
    file.handles -= 1;
    if (file.handles > 0) return;
    this.#busy.delete(file.ino);
    this.#idle.set(file.ino, file);
    this.#evict();
  }

  /** The inode is gone. Handles that are open keep what they know. */
  vanished(ino: Ino): void {
    const file = this.#idle.get(ino);
    if (file === undefined) return;
    this.#idle.delete(ino);
    this.#end(file.version);
  }

  #refresh(file: OpenFile, attr: Attr, ticket: Ticket): void {
    if (ticket < file.ticket) return;
    file.ticket = ticket;
    file.attr = attr;
    file.checkedAtMs = this.#clock.nowMs();
    if (file.version.matches(attr)) return;
    this.#end(file.version);
    file.version = this.#newVersion(file.ino, attr);
  }

  #newVersion(ino: Ino, attr: Attr): FileVersion {
    do {
      this.#lastFileId = this.#lastFileId === FILE_ID_MAX ? 1 : this.#lastFileId + 1;
    } while (this.#fileIds.has(this.#lastFileId));
    this.#fileIds.add(this.#lastFileId);
    return new FileVersion(this.#lastFileId, ino, attr);
  }

  #end(version: FileVersion): void {
    version.current = false;
    this.#onEnd(version);
    this.#freeId(version);
  }

  /** A file id is free again when no handle carries it and nothing will be published under it. */
  #freeId(version: FileVersion): void {
    if (!version.current && version.handles === 0) this.#fileIds.delete(version.fileId);
  }

  #evict(): void {
    const oldestMs = this.#clock.nowMs() - IDLE_MAX_MS;
    for (const file of this.#idle.values()) {
      const tooMany = this.#limit > 0 && this.size > this.#limit;
      if (!tooMany && file.checkedAtMs > oldestMs) return;
      this.#idle.delete(file.ino);
      this.#end(file.version);
    }
  }
}
