import assert from 'node:assert/strict';
import type { DirEntryReply } from '../fuse/operations.ts';
import type { DirCursor, DirEntry, MetaReader } from '../meta/engine.ts';
import type { Ino } from '../posix/ino.ts';
import type { Clock } from '../runtime/clock.ts';
import { Semaphore } from '../runtime/semaphore.ts';
import type { Ticket } from './open-file.ts';
import type { OpenFiles } from './open-files.ts';

/** Cookies are page number × this + number in the page; a page has fewer entries than this. */
const PAGE_STRIDE = 1n << 20n;
/** Calls that may wait for one directory handle. */
const CALLS_MAX = 64;

/** Entries that came together. What is undefined was a duplicate; its place keeps its number. */
export interface ListedPage {
  readonly entries: readonly (DirEntry | undefined)[];
  readonly ticket: Ticket;
  readonly readAtMs: number;
}

/** What a listing is read from and turned into replies by. */
export interface DirListingParts {
  readonly ino: Ino;
  readonly meta: MetaReader;
  readonly files: OpenFiles;
  readonly clock: Clock;
  /** `.`, `..` and virtual names. */
  head(signal: AbortSignal): Promise<DirEntry[]>;
  reply(entry: DirEntry, page: ListedPage, plus: boolean): Omit<DirEntryReply, 'nextOffset'>;
}

/**
 * One open directory, read page by page: memory holds two pages and a cursor for each page seen.
 *
 * A cookie names page and place, so going back to it reads just that page again. Page 0 is the head.
 */
export class DirListing {
  readonly #parts: DirListingParts;
  readonly #turn = new Semaphore(1, CALLS_MAX);
  /** Cursor that leads to page number (index + 1). */
  #cursors: (DirCursor | undefined)[] = [undefined];
  #ended = false;
  #pages = new Map<number, ListedPage>();

  constructor(parts: DirListingParts) {
    this.#parts = parts;
  }

  /**
   * Calls `add` for the entries from `offset` on; offset 0 begins anew and sees later changes.
   *
   * @throws what the engine and `head` throw; QueueFullError
   */
  async read(
    request: { offset: bigint; plus: boolean; signal: AbortSignal },
    add: (entry: DirEntryReply) => boolean,
  ): Promise<void> {
    const { offset, plus, signal } = request;
    await this.#turn.run(async () => {
      if (offset === 0n) this.#rewind();
      let number = Number(offset / PAGE_STRIDE);
      let from = Number(offset % PAGE_STRIDE);
      for (;;) {
        const page = await this.#page(number, plus, signal);
        if (page === undefined || !this.#offer(page, { number, from, plus }, add)) return;
        number += 1;
        from = 0;
      }
    }, signal);
  }

  #offer(
    page: ListedPage,
    { number, from, plus }: { number: number; from: number; plus: boolean },
    add: (entry: DirEntryReply) => boolean,
  ): boolean {
    const base = BigInt(number) * PAGE_STRIDE;
    for (let index = from; index < page.entries.length; index += 1) {
      const entry = page.entries[index];
      if (entry === undefined) continue;
      const nextOffset = base + BigInt(index + 1);
      if (!add({ ...this.#parts.reply(entry, page, plus), nextOffset })) return false;
    }
    return true;
  }

  #rewind(): void {
    this.#cursors = [undefined];
    this.#ended = false;
    this.#pages.clear();
  }

  /** @returns undefined behind the last page */
  async #page(number: number, plus: boolean, signal: AbortSignal): Promise<ListedPage | undefined> {
    const kept = this.#pages.get(number);
    if (kept !== undefined) return kept;
    if (number === 0) return this.#keep(0, await this.#parts.head(signal), this.#stamp());
    // A cookie that we never gave out lies behind what was read: read on up to it.
    while (this.#cursors.length < number && !this.#ended) {
      await this.#fetch(this.#cursors.length, plus, signal);
    }
    if (this.#cursors.length < number) return undefined;
    return this.#fetch(number, plus, signal);
  }

  async #fetch(number: number, plus: boolean, signal: AbortSignal): Promise<ListedPage> {
    const stamp = this.#stamp();
    const cursor = this.#cursors[number - 1];
    const options = { cursor, withAttrs: plus };
    const { entries, next } = await this.#parts.meta.readdir(this.#parts.ino, options, signal);
    assert(BigInt(entries.length) < PAGE_STRIDE, 'a page of a listing is too long');
    if (number === this.#cursors.length) {
      if (next === undefined) this.#ended = true;
      else this.#cursors.push(next);
    }
    return this.#keep(number, this.#distinct(entries, number), stamp);
  }

  #stamp(): { ticket: Ticket; readAtMs: number } {
    return { ticket: this.#parts.files.ticket(), readAtMs: this.#parts.clock.nowMs() };
  }

  #keep(
    number: number,
    entries: readonly (DirEntry | undefined)[],
    stamp: { ticket: Ticket; readAtMs: number },
  ): ListedPage {
    const page: ListedPage = { entries, ...stamp };
    const before = this.#pages.get(number - 1);
    this.#pages.clear();
    if (before !== undefined) this.#pages.set(number - 1, before);
    this.#pages.set(number, page);
    return page;
  }

  /** Removes names that come twice in this page, or came in the one before. */
  #distinct(entries: readonly DirEntry[], number: number): (DirEntry | undefined)[] {
    const seen = new Set<string>();
    for (const entry of this.#pages.get(number - 1)?.entries ?? []) {
      if (entry !== undefined) seen.add(nameKey(entry.name));
    }
    return entries.map((entry) => {
      const key = nameKey(entry.name);
      if (seen.has(key)) return undefined;
      seen.add(key);
      return entry;
    });
  }
}

/** Any bytes, one character each. */
function nameKey(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('latin1');
}
