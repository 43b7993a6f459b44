import { LRUCache } from 'lru-cache';
import { FsError } from '../../posix/errno.ts';
import { type Ino, ROOT_INO } from '../../posix/ino.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { EntryReply, FuseContext, FuseOperations } from '../operations.ts';
import type { InodeTable } from './inode-table.ts';
import { NotUtf8Error } from './native-errno.ts';

/** A name that was looked up. `ino` is undefined when there is no such name. */
interface CachedName {
  readonly ino: Ino | undefined;
  readonly untilMs: number;
}

/** Names kept at most; one takes some 200 bytes. */
export const NAMES_MAX = 65_536;
/** What the package puts in place of bytes that are not UTF-8. */
const REPLACEMENT = '\u{fffd}';

/**
 * Finds inodes by path. Names are cached one by one (directory and name), so that renaming a
 * directory invalidates one entry and not all paths below it.
 */
export class PathResolver {
  readonly #operations: Pick<FuseOperations, 'lookup'>;
  readonly #inodes: InodeTable;
  readonly #clock: Clock;
  readonly #names: LRUCache<string, CachedName>;
  /** Counts invalidations, so that a lookup that was under way meanwhile is not kept. */
  #version = 0;

  constructor(options: {
    readonly operations: Pick<FuseOperations, 'lookup'>;
    readonly inodes: InodeTable;
    readonly clock: Clock;
    /** Names kept at most; {@link NAMES_MAX} unless told. */
    readonly namesMax?: number;
  }) {
    this.#operations = options.operations;
    this.#inodes = options.inodes;
    this.#clock = options.clock;
    this.#names = new LRUCache({
      max: options.namesMax ?? NAMES_MAX,
      dispose: ({ ino }) => {
        if (ino !== undefined) this.#inodes.release(ino);
      },
    });
  }

  /**
   * Runs `work` with the inode of a path, which is in use until `work` has ended.
   *
   * @param path - absolute within the mount, `/` is the root
   * @throws NotUtf8Error; FsError of the lookups; whatever `work` throws
   */
  async withInode<T>(
    context: FuseContext,
    path: string,
    work: (ino: Ino) => Promise<T>,
  ): Promise<T> {
    const ino = await this.#resolve(context, path);
    try {
      return await work(ino);
    } finally {
      this.#inodes.release(ino);
    }
  }

  /** Keeps an entry of a listing that began at `version`. The caller has entered its inode. */
  keepEntry(parent: Ino, name: string, reply: EntryReply, version: number): void {
    this.#keep(keyOf(parent, name), reply, version);
  }

  /** Names the present state, for {@link keepEntry}. */
  get version(): number {
    return this.#version;
  }

  /** A name must be looked up again. */
  invalidate(parent: Ino, name: string): void {
    this.#version += 1;
    this.#names.delete(keyOf(parent, name));
  }

  /** Drops all names and with them the inodes that nothing else uses. */
  clear(): void {
    this.#version += 1;
    this.#names.clear();
  }

  async #resolve(context: FuseContext, path: string): Promise<Ino> {
    // A name with U+FFFD may stand for other bytes than its own: guessing could serve another file.
    if (path.includes(REPLACEMENT)) throw new NotUtf8Error(path);
    let ino: Ino = ROOT_INO;
    this.#inodes.retain(ino);
    for (const name of path.split('/')) {
      if (name === '') continue;
      const parent: Ino = ino;
      try {
        ino = await this.#child(context, parent, name);
      } finally {
        this.#inodes.release(parent);
      }
    }
    return ino;
  }

  /** @returns the inode, of which the caller is now a user */
  async #child(context: FuseContext, parent: Ino, name: string): Promise<Ino> {
    const key = keyOf(parent, name);
    const cached = this.#names.get(key);
    if (cached !== undefined && cached.untilMs > this.#clock.nowMs()) {
      if (cached.ino === undefined) throw new FsError('ENOENT', name);
      this.#inodes.retain(cached.ino);
      return cached.ino;
    }
    const version = this.#version;
    const attrVersion = this.#inodes.version;
    const reply = await this.#operations.lookup(context, parent, Buffer.from(name));
    if (reply.ino !== undefined) this.#inodes.enter(reply, attrVersion);
    this.#keep(key, reply, version);
    if (reply.ino === undefined) throw new FsError('ENOENT', name);
    return reply.ino;
  }

  #keep(
    key: string,
    reply: { readonly ino: Ino | undefined; readonly entryTimeoutMs: number },
    version: number,
  ): void {
    if (version !== this.#version || reply.entryTimeoutMs <= 0) return;
    // In this order: replacing an entry for the same inode must not forget it in between.
    if (reply.ino !== undefined) this.#inodes.retain(reply.ino);
    this.#names.set(key, { ino: reply.ino, untilMs: this.#clock.nowMs() + reply.entryTimeoutMs });
  }
}

function keyOf(parent: Ino, name: string): string {
  return `${parent}/${name}`;
}
