import assert from 'node:assert/strict';
import { ROOT_CALLER } from '../meta/caller.ts';
import type { DirCursor, Entry, MetaReader } from '../meta/engine.ts';
import type { MetaWriter } from '../meta/writer.ts';
import { FileType } from '../posix/attr.ts';
import { FsError } from '../posix/errno.ts';
import { type Ino, ROOT_INO, TRASH_INO } from '../posix/ino.ts';
import { UsageError } from './quantities.ts';
import type { Tree, TreeNode } from './tree.ts';

interface MetaNode extends TreeNode {
  readonly ino: Ino;
  readonly parent: Ino;
  readonly name: Uint8Array;
}

/** What a {@link MetaTree} works with. */
export interface MetaTreeParts {
  readonly meta: MetaReader;
  /** Undefined when nothing will be removed. */
  readonly writer?: MetaWriter;
  /** What is removed does not go to the trash. */
  readonly skipTrash?: boolean;
  readonly signal: AbortSignal;
}

const TRASH_NAME = '.trash';

/** A tree by the metadata alone, without a mount; everything is allowed. */
export class MetaTree implements Tree<MetaNode> {
  readonly #parts: MetaTreeParts;

  constructor(parts: MetaTreeParts) {
    this.#parts = parts;
  }

  async find(path: string): Promise<MetaNode> {
    let node = await this.#root();
    for (const name of path.split('/')) {
      if (name === '' || name === '.') continue;
      // Step by step: each name is looked up in the directory that was found before.
      node = await this.#step(node, name, path);
    }
    return node;
  }

  async *children({ ino, path }: MetaNode): AsyncIterable<MetaNode> {
    const { meta, signal } = this.#parts;
    const seen = new Set<string>();
    let cursor: DirCursor | undefined;
    do {
      const page = await meta.readdir(ino, { cursor, withAttrs: true }, signal);
      for (const { name, ino: child, type, attr } of page.entries) {
        const key = Buffer.from(name).toString('latin1');
        // A name may come twice while a directory is being changed.
        if (seen.has(key)) continue;
        seen.add(key);
        yield {
          ...{ ino: child, parent: ino, name: Uint8Array.from(name) },
          path: `${path === '/' ? '' : path}/${Buffer.from(name).toString('utf8')}`,
          isDirectory: type === FileType.directory,
          lengthBytes: attr?.length ?? 0n,
        };
      }
      cursor = page.next;
    } while (cursor !== undefined);
  }

  async remove({ ino, parent, name, isDirectory }: MetaNode): Promise<boolean> {
    const { writer, signal, skipTrash = false } = this.#parts;
    assert(writer !== undefined, 'a tree that is only looked at');
    // The trash and its hours: whoever does the hourly work removes those that are empty.
    if (ino === TRASH_INO || parent === TRASH_INO) return false;
    const call = { caller: ROOT_CALLER, signal };
    const at = { parent, name };
    try {
      if (isDirectory) await writer.rmdir(at, call, { skipTrash });
      else await writer.unlink(at, call, { skipTrash });
      return true;
    } catch (error) {
      if (error instanceof FsError && error.code === 'ENOENT') return false;
      throw error;
    }
  }

  async #root(): Promise<MetaNode> {
    const attr = await this.#parts.meta.getattr(ROOT_INO, this.#parts.signal);
    if (attr === undefined) throw new UsageError('the volume has no root');
    return nodeOf({ ino: ROOT_INO, attr }, { ino: ROOT_INO, path: '' }, '');
  }

  async #step(dir: MetaNode, name: string, wanted: string): Promise<MetaNode> {
    if (!dir.isDirectory) throw new UsageError(`${wanted}: ${dir.path} is not a directory`);
    const { meta, signal } = this.#parts;
    const entry =
      dir.ino === ROOT_INO && name === TRASH_NAME
        ? await this.#trash()
        : await meta.lookup(dir.ino, Buffer.from(name), signal);
    if (entry === undefined) throw new UsageError(`${wanted}: there is no such file or directory`);
    return nodeOf(entry, dir, name);
  }

  /** It has no entry in the root. */
  async #trash(): Promise<Entry | undefined> {
    const attr = await this.#parts.meta.getattr(TRASH_INO, this.#parts.signal);
    return attr === undefined ? undefined : { ino: TRASH_INO, attr };
  }
}

function nodeOf(
  { ino, attr }: Entry,
  parent: { readonly ino: Ino; readonly path: string },
  name: string,
): MetaNode {
  return {
    ...{ ino, parent: parent.ino, name: Buffer.from(name) },
    path: name === '' ? '/' : `${parent.path === '/' ? '' : parent.path}/${name}`,
    isDirectory: attr.type === FileType.directory,
    lengthBytes: attr.length,
  };
}
