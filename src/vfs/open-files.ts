import assert from 'node:assert/strict';
import type { Attr, Timespec } from '../posix/attr.ts';
import type { Ino } from '../posix/ino.ts';
import type { Clock } from '../runtime/clock.ts';
import { FileVersion } from './file-version.ts';
import { type DecidedHere, type OpenFile, shownAttr, type Ticket } from './open-file.ts';

/** Hears what is known of which file. */
export interface OpenFilesWatcher {
  /** The file has another version, or its version was opened for the first time. */
  known(file: OpenFile): void;
  /**
   * Nothing is known of the file any more; no other thread may open it with what it knew. What one has
   * opened before is to be adopted before this returns.
   */
  unknown(ino: Ino): void;
  /** A metadata request is about to be made. */
  asks(ticket: Ticket): void;
}

/** A handle that another thread has given to the kernel. */
export interface Adopted {
  readonly ino: Ino;
  /** What was asked for and seen when it was opened; undefined: it was opened with what was known of it. */
  readonly seen: SeenAttr | undefined;
  /** What the handle carries. */
  readonly fileId: number;
}

/** An attribute that another thread has asked for. */
export interface SeenAttr {
  readonly attr: Attr;
  /** The ticket that was taken last when it was asked for; its lower 32 bits. */
  readonly ticket: number;
}

/** Files that nobody has open are kept this long: 12 h, as JuiceFS does. */
const IDLE_MAX_MS = 12 * 3600 * 1000;
/** That a file was checked again is told when it was not for so long. */
const CHECK_TOLD_MS = 250;
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
  /** Versions whose id is in use. */
  readonly #versions = new Map<number, FileVersion>();
  #lastFileId = 0;
  #lastTicket = 0;
  #lastDoubt = 0 as Ticket;
  #isEvicting = false;
  #watcher: OpenFilesWatcher | undefined;
  #decidedFirst: (ino: Ino) => DecidedHere = () => 'nothing';
  #onIdle: (ino: Ino) => void = () => undefined;

  /**
   * @param options - `limit`: files kept, 0 = any number; `onEnd`: called when a version is no
   *   longer the file's content or is forgotten
   */
  constructor(options: { limit: number; clock: Clock; onEnd: (version: FileVersion) => void }) {
    this.#limit = options.limit;
    this.#clock = options.clock;
    this.#onEnd = options.onEnd;
  }

  /** @param watcher - hears of changes from now on */
  watch(watcher: OpenFilesWatcher): void {
    this.#watcher = watcher;
  }

  /** @param decided - what of a file is decided here from the moment that it is known */
  onFirst(decided: (ino: Ino) => DecidedHere): void {
    this.#decidedFirst = decided;
  }

  /** @param onIdle - hears of each file that nobody has open any more */
  onIdle(onIdle: (ino: Ino) => void): void {
    this.#onIdle = onIdle;
  }

  /** What about a file only the main thread can answer from now on. */
  decideHere(file: OpenFile, decided: DecidedHere): void {
    if (file.decidedHere === decided) return;
    file.decidedHere = decided;
    this.#watcher?.known(file);
  }

  /** How many files are kept. */
  get size(): number {
    return this.#busy.size + this.#idle.size;
  }

  /** To be taken before a metadata request is made. */
  ticket(): Ticket {
    this.#lastTicket += 1;
    const ticket = this.#lastTicket as Ticket;
    this.#watcher?.asks(ticket);
    return ticket;
  }

  /** What is known of a file. */
  find(ino: Ino): OpenFile | undefined {
    return this.#busy.get(ino) ?? this.#idle.get(ino);
  }

  /** Takes note of an attribute. @returns the attribute to believe and to show */
  observe(ino: Ino, attr: Attr, ticket: Ticket): Attr {
    const file = this.find(ino);
    if (file === undefined) return attr;
    this.#refresh(file, attr, ticket);
    return shownAttr(file);
  }

  /**
   * Whether this mount changed the file after a request was made: its reply may be from before or
   * from after that change, and only another request can tell.
   */
  wasChangedAfter(ino: Ino, ticket: Ticket): boolean {
    const file = this.find(ino);
    return file !== undefined && file.changed > ticket;
  }

  /**
   * This mount has changed an inode's attribute.
   *
   * @param attr - as it was right after the change
   * @param options - `content`: bytes, or where they lie, may have changed, too
   * @returns the attribute to show
   */
  changed(ino: Ino, attr: Attr, options: { content: boolean }): Attr {
    const file = this.find(ino);
    if (file === undefined) return attr;
    file.changed = this.ticket();
    file.ticket = file.changed;
    file.attr = attr;
    file.checkedAtMs = this.#clock.nowMs();
    if (options.content || !file.version.matches(attr)) this.#renew(file);
    return shownAttr(file);
  }

  /** Somebody has changed the inode: what is known of it is not to be used without asking again. */
  doubt(ino: Ino): void {
    this.#lastDoubt = this.ticket();
    const file = this.find(ino);
    if (file !== undefined) this.#doubt(file, this.#lastDoubt);
  }

  /** Anything may have changed. */
  doubtAll(): void {
    this.#lastDoubt = this.ticket();
    for (const file of this.#busy.values()) this.#doubt(file, this.#lastDoubt);
    for (const file of this.#idle.values()) this.#doubt(file, this.#lastDoubt);
  }

  #doubt(file: OpenFile, ticket: Ticket): void {
    const isNews = !file.isDoubted;
    file.isDoubted = true;
    file.doubted = ticket;
    if (isNews) this.#watcher?.known(file);
  }

  /** @see WrittenFiles.wrote */
  wrote(file: OpenFile, endBytes: number, mtime: Timespec): void {
    const before = file.pending;
    const end = BigInt(endBytes);
    const lengthBytes = before !== undefined && before.lengthBytes > end ? before.lengthBytes : end;
    file.pending = { lengthBytes, mtime };
    if (before === undefined) this.#renew(file);
  }

  /** @see WrittenFiles.committed */
  committed(file: OpenFile, attr: Attr, isMoreWaiting: boolean): void {
    if (!isMoreWaiting) file.pending = undefined;
    file.changed = this.ticket();
    file.ticket = file.changed;
    file.attr = attr;
    file.checkedAtMs = this.#clock.nowMs();
    this.#renew(file);
  }

  /** @see WrittenFiles.gaveUp */
  gaveUp(file: OpenFile): void {
    file.pending = undefined;
    this.#renew(file);
  }

  /** Opens a file for one more handle, with the attribute that was just asked for. */
  open(ino: Ino, attr: Attr, ticket: Ticket): OpenFile {
    const known = this.find(ino);
    if (known !== undefined) {
      this.#refresh(known, attr, ticket);
      return this.#hold(known);
    }
    const version = this.#newVersion(ino, attr, false);
    const checkedAtMs = this.#clock.nowMs();
    const changed = 0 as Ticket;
    // Which files were not known when they changed is not remembered.
    const isDoubted = ticket < this.#lastDoubt;
    const doubted = isDoubted ? this.#lastDoubt : (0 as Ticket);
    const file = {
      ...{ ino, attr, version, ticket, checkedAtMs, isDoubted, doubted, handles: 0 },
      ...{ pending: undefined, changed, decidedHere: this.#decidedFirst(ino) },
    };
    this.#watcher?.known(file);
    return this.#hold(file);
  }

  /**
   * The kernel has opened a version of the file: it holds no pages of other ones any more. Says
   * nothing when the file has another version by now.
   */
  markOpened(file: OpenFile, version: FileVersion): void {
    if (version.opened || version !== file.version) return;
    version.opened = true;
    this.#watcher?.known(file);
  }

  /** The kernel believes no attribute of another version than the present one. */
  markBelieved(file: OpenFile): void {
    if (file.version.believed) return;
    file.version.believed = true;
    this.#watcher?.known(file);
  }

  /**
   * Opens a file for a handle that the kernel has already.
   *
   * @returns the file, and the version that the handle carries: one that has ended when the file has
   *   changed since or was forgotten
   */
  adopt({ ino, seen, fileId }: Adopted): { file: OpenFile; opened: FileVersion } {
    const file = seen === undefined ? this.reopen(ino) : this.#reopenSeen(ino, seen);
    if (file.version.fileId === fileId) {
      if (seen !== undefined) this.#confirm(file, this.#rightAfter(seen.ticket));
      return { file, opened: file.version };
    }
    file.version.handles -= 1;
    const opened = this.#versions.get(fileId) ?? this.#endedVersion(file, fileId);
    opened.handles += 1;
    return { file, opened };
  }

  #reopenSeen(ino: Ino, { attr, ticket }: SeenAttr): OpenFile {
    const isKnown = this.find(ino) !== undefined;
    return isKnown ? this.reopen(ino) : this.open(ino, attr, this.#rightAfter(ticket));
  }

  /** A request with this ticket has found the file's version. */
  #confirm(file: OpenFile, ticket: Ticket): void {
    // What was asked for before must not take the file back to an older content.
    if (ticket < file.ticket) return;
    file.ticket = ticket;
    this.#check(file, ticket);
  }

  /** Opens a file for one more handle with what is known of it, which must be something. */
  reopen(ino: Ino): OpenFile {
    const known = this.find(ino);
    assert(known !== undefined, `inode ${ino} was never opened`);
    return this.#hold(known);
  }

  /** Between a ticket, given by its lower 32 bits, and the next one. */
  #rightAfter(low: number): Ticket {
    const takenSince = (this.#lastTicket - low) >>> 0;
    return (this.#lastTicket - takenSince + 0.5) as Ticket;
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
    this.#onIdle(file.ino);
    this.#evict();
  }

  /** The inode is gone. Handles that are open keep what they know. */
  vanished(ino: Ino): void {
    const file = this.#idle.get(ino);
    if (file !== undefined) this.#forget(file);
  }

  /** Ends what is known of a file, unless another thread has opened it. */
  #forget(file: OpenFile): void {
    this.#watcher?.unknown(file.ino);
    if (this.#idle.delete(file.ino)) this.#end(file.version);
    else this.#watcher?.known(file);
  }

  #refresh(file: OpenFile, attr: Attr, ticket: Ticket): void {
    if (ticket < file.ticket) return;
    file.ticket = ticket;
    file.attr = attr;
    this.#check(file, ticket);
    if (!file.version.matches(attr)) this.#renew(file);
  }

  /** What is known was true when a request with this ticket was made. */
  #check(file: OpenFile, ticket: Ticket): void {
    const nowMs = this.#clock.nowMs();
    const isNews = file.isDoubted || nowMs - file.checkedAtMs > CHECK_TOLD_MS;
    file.checkedAtMs = nowMs;
    if (ticket > file.doubted) file.isDoubted = false;
    if (isNews) this.#watcher?.known(file);
  }

  /** What was derived from the file's content so far is over. */
  #renew(file: OpenFile): void {
    this.#end(file.version);
    file.version = this.#newVersion(file.ino, file.attr, file.pending !== undefined);
    this.#watcher?.known(file);
  }

  #newVersion(ino: Ino, attr: Attr, dirty: boolean): FileVersion {
    do {
      this.#lastFileId = this.#lastFileId === FILE_ID_MAX ? 1 : this.#lastFileId + 1;
    } while (this.#versions.has(this.#lastFileId));
    const version = new FileVersion(this.#lastFileId, ino, attr, dirty);
    this.#versions.set(version.fileId, version);
    return version;
  }

  #endedVersion({ ino, attr }: OpenFile, fileId: number): FileVersion {
    const version = new FileVersion(fileId, ino, attr);
    version.current = false;
    this.#versions.set(fileId, version);
    return version;
  }

  #end(version: FileVersion): void {
    version.current = false;
    this.#onEnd(version);
    this.#freeId(version);
  }

  /** A file id is free again when no handle carries it and nothing will be published under it. */
  #freeId(version: FileVersion): void {
    if (!version.current && version.handles === 0) this.#versions.delete(version.fileId);
  }

  #evict(): void {
    // Who hears that a file is unknown may open others first.
    if (this.#isEvicting) return;
    this.#isEvicting = true;
    const oldestMs = this.#clock.nowMs() - IDLE_MAX_MS;
    for (const file of this.#idle.values()) {
      const tooMany = this.#limit > 0 && this.size > this.#limit;
      if (!tooMany && file.checkedAtMs > oldestMs) break;
      this.#forget(file);
    }
    this.#isEvicting = false;
  }
}
