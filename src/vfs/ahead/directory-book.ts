import type { DirCursor, MetaReader } from '../../meta/engine.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { AheadDirectory } from './ahead-directory.ts';
import { AheadListing } from './ahead-listing.ts';

/** Directories that are followed, and files in all their listings together; about 150 bytes each. */
const DIRECTORIES_MAX = 512;
const FILES_MAX = 200_000;
/** A larger directory is not listed for reading ahead. */
const LISTED_MAX = 32_768;
/** A directory that was not read for this long counts no more. */
const ACTIVE_MS = 600_000;
/** A listing that lacks a file that was opened is renewed after this, a failed one is tried again. */
const RENEW_MS = 10_000;
/** Opens that are kept until there is a listing. */
const OPENED_BEFORE_MAX = 64;
/** What a file is taken to have before one was seen. */
const GUESSED_BYTES = 64 * 1024;

/** A directory whose files are read. */
export interface FollowedDirectory {
  readonly ino: Ino;
  listing: AheadDirectory | undefined;
  isListing: boolean;
  /** No listing is worth trying before this. */
  retryAtMs: number;
  usedAtMs: number;
  /** Opened before there was a listing. */
  readonly openedBefore: Ino[];
  /** Files whose length is known, and their bytes. */
  filesSeen: number;
  bytesSeen: number;
}

/** The directories that are being read, and what is in them. */
export class DirectoryBook {
  readonly #meta: MetaReader;
  readonly #clock: Clock;
  /** The one read longest ago first. */
  readonly #directories = new Map<Ino, FollowedDirectory>();
  #files = 0;

  constructor(parts: { meta: MetaReader; clock: Clock }) {
    this.#meta = parts.meta;
    this.#clock = parts.clock;
  }

  /** What is known of a directory. */
  find(ino: Ino): FollowedDirectory | undefined {
    return this.#directories.get(ino);
  }

  /** A directory that is followed from now on. */
  follow(ino: Ino): FollowedDirectory {
    const known = this.#directories.get(ino);
    const nowMs = this.#clock.nowMs();
    const directory = known ?? {
      ino,
      listing: undefined,
      isListing: false,
      retryAtMs: nowMs,
      usedAtMs: nowMs,
      openedBefore: [],
      filesSeen: 0,
      bytesSeen: 0,
    };
    directory.usedAtMs = nowMs;
    this.#directories.delete(ino);
    this.#directories.set(ino, directory);
    this.#trim(directory);
    return directory;
  }

  /** A file of the directory was opened. */
  opened(directory: FollowedDirectory, ino: Ino, lengthBytes: number): void {
    directory.usedAtMs = this.#clock.nowMs();
    directory.filesSeen += 1;
    directory.bytesSeen += lengthBytes;
    const { listing, openedBefore } = directory;
    if (listing === undefined) {
      if (openedBefore.length < OPENED_BEFORE_MAX) openedBefore.push(ino);
      return;
    }
    if (listing.note(ino)) return;
    // The listing is behind the times.
    directory.retryAtMs = Math.min(directory.retryAtMs, listing.listedAtMs + RENEW_MS);
  }

  /** Whether the directory should be listed now. */
  isDue({ listing, isListing, retryAtMs }: FollowedDirectory): boolean {
    const isOld = listing === undefined || retryAtMs >= listing.listedAtMs;
    return !isListing && isOld && this.#clock.nowMs() >= retryAtMs;
  }

  /** Bytes of all directories that are being read, as far as they are listed. */
  get activeBytes(): number {
    let bytes = 0;
    for (const directory of this.#directories.values()) {
      bytes += (directory.listing?.size ?? 0) * meanBytes(directory);
    }
    return bytes;
  }

  /** Lists a directory's files, unless they are too many. @throws what the engine throws */
  async list(directory: FollowedDirectory, signal: AbortSignal): Promise<void> {
    directory.isListing = true;
    try {
      const startedMs = this.#clock.nowMs();
      directory.retryAtMs = startedMs + RENEW_MS;
      const listing = await this.#list(directory.ino, signal);
      directory.retryAtMs =
        listing === undefined ? startedMs + ACTIVE_MS : Number.POSITIVE_INFINITY;
      if (this.#directories.get(directory.ino) !== directory) return;
      this.#files -= directory.listing?.size ?? 0;
      directory.listing = listing?.finish(startedMs);
      this.#files += directory.listing?.size ?? 0;
      for (const ino of directory.openedBefore.splice(0)) directory.listing?.note(ino);
      this.#trim(directory);
    } finally {
      directory.isListing = false;
    }
  }

  async #list(ino: Ino, signal: AbortSignal): Promise<AheadListing | undefined> {
    const listing = new AheadListing();
    let cursor: DirCursor | undefined;
    do {
      const page = await this.#meta.readdir(ino, { cursor, withAttrs: false }, signal);
      listing.add(page.entries);
      if (listing.size > LISTED_MAX) return undefined;
      cursor = page.next;
    } while (cursor !== undefined);
    return listing;
  }

  /** Forgets directories that are too many, too large or out of use, but never `latest`. */
  #trim(latest: FollowedDirectory): void {
    const oldestMs = this.#clock.nowMs() - ACTIVE_MS;
    for (const directory of this.#directories.values()) {
      const tooMany = this.#directories.size > DIRECTORIES_MAX || this.#files > FILES_MAX;
      if (directory === latest || (!tooMany && directory.usedAtMs >= oldestMs)) return;
      this.#directories.delete(directory.ino);
      this.#files -= directory.listing?.size ?? 0;
    }
  }
}

/** Mean length of a directory's files, by those that were opened. */
export function meanBytes({ filesSeen, bytesSeen }: FollowedDirectory): number {
  return filesSeen === 0 ? GUESSED_BYTES : bytesSeen / filesSeen;
}
