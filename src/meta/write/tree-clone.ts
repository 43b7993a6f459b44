import { FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import { allXattrs } from '../all-xattrs.ts';
import type { DirEntry, MetaReader } from '../engine.ts';
import type { IdBatch } from '../id-batch.ts';
import type { CloneOptions, NameAt, NameWriter, WriteCall } from '../writer.ts';
import { ROOT_CALLER } from '../caller.ts';
import { directoryEntries } from './directory-entries.ts';
import { spaceOf } from './node-space.ts';
import type { WriteRunner } from './write-runner.ts';

/** What a {@link TreeClone} works with. */
export interface TreeCloneParts {
  readonly engine: MetaReader;
  readonly runner: WriteRunner;
  readonly inodes: IdBatch;
  /** Takes a copy away again that could not be finished. */
  readonly names: Pick<NameWriter, 'unlink' | 'rmdir'>;
}

/** Files of one directory that are copied side by side. */
const FILES_AT_ONCE = 8;

/** Copies a tree by its metadata: nobody sees a directory before all that is in it is there. */
export class TreeClone {
  readonly #parts: TreeCloneParts;
  readonly #options: CloneOptions;
  readonly #call: WriteCall;
  #space = 0n;
  #inodes = 0n;

  constructor(parts: TreeCloneParts, options: CloneOptions, call: WriteCall) {
    this.#parts = parts;
    this.#options = options;
    this.#call = call;
  }

  /** @see NameWriter.clone */
  async run(source: Ino, at: NameAt): Promise<void> {
    const { engine, runner } = this.#parts;
    const { caller, signal } = this.#call;
    const attr = await engine.getattr(source, signal);
    if (attr === undefined) throw new FsError('ENOENT');
    if (attr.type !== FileType.directory) {
      await this.#copy(source, at, true);
      return;
    }
    // A name that is taken is found before everything is copied.
    if ((await engine.lookup(at.parent, at.name, signal)) !== undefined)
      throw new FsError('EEXIST');
    const ino = await this.#copy(source, undefined, true);
    try {
      await this.#copyEntries(source, ino);
      const sum = { space: this.#space, inodes: this.#inodes };
      const args = { ino, at, caller, sum };
      await runner.run('attachClone', args, { turns: [at.parent, ino], signal });
    } catch (error) {
      await this.#remove(ino);
      throw error;
    }
  }

  async #copyEntries(source: Ino, target: Ino): Promise<void> {
    const { engine } = this.#parts;
    const { signal } = this.#call;
    let files: DirEntry[] = [];
    const flush = async () => {
      const batch = files;
      files = [];
      await Promise.all(batch.map(({ ino, name }) => this.#copyExisting(ino, target, name)));
    };
    const how = { dir: source, withAttrs: false, unique: true };
    for await (const entry of directoryEntries(engine, how, signal)) {
      // The page that it stands in is gone when it is used.
      const name = Uint8Array.from(entry.name);
      if (entry.type !== FileType.directory) {
        files.push({ ...entry, name });
        if (files.length >= FILES_AT_ONCE) await flush();
        continue;
      }
      const copy = await this.#copyExisting(entry.ino, target, name);
      if (copy !== undefined) await this.#copyEntries(entry.ino, copy);
    }
    await flush();
  }

  /** @returns undefined for what was removed meanwhile */
  async #copyExisting(source: Ino, parent: Ino, name: Uint8Array): Promise<Ino | undefined> {
    try {
      return await this.#copy(source, { parent, name }, false);
    } catch (error) {
      const isGone = error instanceof FsError && error.code === 'ENOENT';
      if (isGone && (await this.#parts.engine.getattr(source, this.#call.signal)) === undefined) {
        return undefined;
      }
      throw error;
    }
  }

  async #copy(source: Ino, at: NameAt | undefined, isTop: boolean): Promise<Ino> {
    const { engine, runner, inodes } = this.#parts;
    const { caller, signal } = this.#call;
    const { preserve, umask, onCopied } = this.#options;
    const [ino, xattrs] = await Promise.all([
      inodes.take(signal),
      allXattrs(engine, source, signal),
    ]);
    const copy = ino as Ino;
    const args = { source, ino: copy, at, isTop, caller, preserve, umask, xattrs };
    const turns = at === undefined ? ([source] as const) : ([at.parent, source] as const);
    const attr = await runner.run('cloneNode', args, { turns, signal });
    this.#space += spaceOf(attr);
    this.#inodes += 1n;
    onCopied?.();
    return copy;
  }

  /** What cannot be removed now is found by `juicefs gc`: the directory is listed as detached. */
  async #remove(ino: Ino): Promise<void> {
    const { engine, runner, names } = this.#parts;
    // The copy was given up, perhaps by its signal; what there is of it must go all the same.
    const { signal } = new AbortController();
    const call = { caller: ROOT_CALLER, signal };
    const empty = async (dir: Ino): Promise<void> => {
      const how = { dir, withAttrs: false, unique: true };
      for await (const entry of directoryEntries(engine, how, signal)) {
        const at = { parent: dir, name: Uint8Array.from(entry.name) };
        if (entry.type === FileType.directory) {
          await empty(entry.ino);
          await names.rmdir(at, call, { skipTrash: true });
        } else await names.unlink(at, call, { skipTrash: true });
      }
    };
    await empty(ino);
    await runner.run('dropClone', { ino }, { turns: [ino], signal });
  }
}
