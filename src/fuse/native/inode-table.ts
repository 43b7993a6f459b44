import assert from 'node:assert/strict';
import type { Attr } from '../../posix/attr.ts';
import { type Ino, ROOT_INO } from '../../posix/ino.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { AttrReply, EntryReply, FuseOperations } from '../operations.ts';

interface Known {
  /** Answers to lookup that named the inode: what a forget gives back. */
  lookups: bigint;
  /** Cached names, open files and running operations that use it. */
  users: number;
  attr: Attr | undefined;
  attrUntilMs: number;
}

/**
 * The inodes that this mount refers to, as the kernel would keep them: an inode is forgotten when
 * no cached name, no open file and no running operation uses it any more.
 */
export class InodeTable {
  readonly #operations: Pick<FuseOperations, 'forget'>;
  readonly #clock: Clock;
  readonly #known = new Map<Ino, Known>();
  /** Counts invalidations, so that an answer that was under way meanwhile is not believed later. */
  #version = 0;

  constructor(operations: Pick<FuseOperations, 'forget'>, clock: Clock) {
    this.#operations = operations;
    this.#clock = clock;
    // The root is never looked up, so it is never forgotten either.
    this.#known.set(ROOT_INO, unknownInode(1));
  }

  /** How many inodes are referred to, the root included. */
  get size(): number {
    return this.#known.size;
  }

  /** Names the present state, for {@link enter} and {@link keepAttr}. */
  get version(): number {
    return this.#version;
  }

  /**
   * Takes an answer to a lookup that began at `version`. The caller is a user of the inode until it
   * calls {@link release}.
   */
  enter(reply: EntryReply, version: number): void {
    let known = this.#known.get(reply.ino);
    if (known === undefined) {
      known = unknownInode(0);
      this.#known.set(reply.ino, known);
    }
    known.lookups += 1n;
    known.users += 1;
    this.keepAttr(reply.ino, reply, version);
  }

  /** One more user of an inode that is in use. */
  retain(ino: Ino): void {
    const known = this.#known.get(ino);
    assert(known !== undefined, `inode ${ino} is not in use`);
    known.users += 1;
  }

  /** Ends one use; the last one forgets the inode. */
  release(ino: Ino): void {
    const known = this.#known.get(ino);
    assert(known !== undefined && known.users > 0, `inode ${ino} is not in use`);
    known.users -= 1;
    if (known.users > 0) return;
    this.#known.delete(ino);
    this.#operations.forget(ino, known.lookups);
  }

  /** The attribute, when it may still be believed. */
  attr(ino: Ino): Attr | undefined {
    const known = this.#known.get(ino);
    if (known === undefined || known.attrUntilMs <= this.#clock.nowMs()) return undefined;
    return known.attr;
  }

  /** Keeps an attribute that was asked for at `version`, unless something was invalidated since. */
  keepAttr(ino: Ino, reply: AttrReply, version: number): void {
    const known = this.#known.get(ino);
    if (known === undefined || version !== this.#version) return;
    known.attr = reply.attr;
    known.attrUntilMs = this.#clock.nowMs() + reply.attrTimeoutMs;
  }

  /** The attribute must be asked for again. */
  invalidate(ino: Ino): void {
    this.#version += 1;
    const known = this.#known.get(ino);
    if (known !== undefined) known.attr = undefined;
  }
}

function unknownInode(users: number): Known {
  return { lookups: 0n, users, attr: undefined, attrUntilMs: 0 };
}
