import type { DirCursor, DirEntry, MetaReader } from '../../meta/engine.ts';
import { FileType } from '../../posix/attr.ts';
import { abortReason } from '../../runtime/deadline.ts';
import type { Ticket } from '../open-file.ts';
import type { CacheTarget } from './cache-target.ts';

/** Directories listed at once. */
const LISTERS = 8;
/** Directories that wait; with more of them a lister goes down by itself, depth first. */
const WAITING_MAX = 10_000;

/** What a walk finds. */
export interface FoundNode extends CacheTarget {
  /** Of the request that brought the attribute. */
  readonly ticket: Ticket;
}

/** What a {@link TreeWalk} works with and tells. */
export interface TreeWalkParts {
  readonly meta: MetaReader;
  /** Called before each metadata request. */
  ticket(): Ticket;
  /** A file or symlink; the walk goes on when the promise resolves. Must not reject but by abort. */
  onNode(node: FoundNode): Promise<void>;
  /** A directory was found below the roots. */
  onDirectory?(): void;
  /** A directory could not be listed. */
  onError(path: string, error: unknown): void;
}

interface Directory {
  readonly ino: CacheTarget['ino'];
  readonly path: string;
}

/**
 * Visits everything below some directories, several of them at once, in no particular order. Memory
 * is bounded whatever the shape of the tree.
 */
export class TreeWalk {
  readonly #parts: TreeWalkParts;
  readonly #signal: AbortSignal;
  readonly #waiting: Directory[] = [];
  readonly #idle = new Set<() => void>();
  #listing = 0;

  constructor(parts: TreeWalkParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
  }

  /** @throws the signal's reason when aborted */
  async run(roots: readonly Directory[]): Promise<void> {
    this.#waiting.push(...roots);
    const wake = () => this.#wakeAll();
    this.#signal.addEventListener('abort', wake, { once: true });
    try {
      await Promise.all(Array.from({ length: LISTERS }, () => this.#work()));
    } finally {
      this.#signal.removeEventListener('abort', wake);
    }
  }

  async #work(): Promise<void> {
    for (;;) {
      if (this.#signal.aborted) throw abortReason(this.#signal);
      const directory = this.#waiting.pop();
      if (directory !== undefined) {
        this.#listing += 1;
        try {
          await this.#list(directory);
        } finally {
          this.#listing -= 1;
        }
        continue;
      }
      if (this.#listing === 0) {
        this.#wakeAll();
        return;
      }
      await new Promise<void>((resolve) => {
        this.#idle.add(resolve);
      });
    }
  }

  async #list(directory: Directory): Promise<void> {
    let cursor: DirCursor | undefined;
    do {
      const stamp = this.#parts.ticket();
      let entries: readonly DirEntry[];
      try {
        const options = { cursor, withAttrs: true };
        const page = await this.#parts.meta.readdir(directory.ino, options, this.#signal);
        ({ entries, next: cursor } = page);
      } catch (error) {
        if (this.#signal.aborted) throw abortReason(this.#signal);
        this.#parts.onError(directory.path, error);
        return;
      }
      for (const entry of entries) await this.#visit(directory, entry, stamp);
    } while (cursor !== undefined);
  }

  async #visit(directory: Directory, entry: DirEntry, ticket: Ticket): Promise<void> {
    if (this.#signal.aborted) throw abortReason(this.#signal);
    const { ino, type, attr } = entry;
    const path = `${directory.path}/${Buffer.from(entry.name).toString('utf8')}`;
    if (type === FileType.directory) {
      this.#parts.onDirectory?.();
      await this.#descend({ ino, path });
    }
    if (type !== FileType.directory && attr !== undefined)
      await this.#parts.onNode({ ino, attr, path, ticket });
  }

  async #descend(directory: Directory): Promise<void> {
    if (this.#waiting.length >= WAITING_MAX) {
      await this.#list(directory);
      return;
    }
    this.#waiting.push(directory);
    const [idle] = this.#idle;
    if (idle === undefined) return;
    this.#idle.delete(idle);
    idle();
  }

  #wakeAll(): void {
    for (const wake of this.#idle) wake();
    this.#idle.clear();
  }
}
