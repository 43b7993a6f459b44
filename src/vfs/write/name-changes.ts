import type { CreateReply, NameIn, NodeRequest } from '../../fuse/mutations.ts';
import type { EntryReply, FuseContext } from '../../fuse/operations.ts';
import type { Entry } from '../../meta/engine.ts';
import type { NameAt, RenameFlags, Unlinked } from '../../meta/writer.ts';
import { FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import { O_EXCL, O_TRUNC } from '../../posix/open-flags.ts';
import { NAME_BYTES_MAX } from '../nodes.ts';
import { callOf, type WriteParts } from './write-parts.ts';

/** @see linux/fs.h */
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;
/** Longest target through JuiceFS's VFS. */
const TARGET_BYTES_MAX = 4095;
const SYMLINK_MODE = 0o777;

/** Names that come, go and move. Inode numbers are the kernel's. */
export class NameChanges {
  readonly #parts: WriteParts;

  constructor(parts: WriteParts) {
    this.#parts = parts;
  }

  /** @throws FsError EEXIST, what {@link NameWriter} throws, ENFILE */
  async create(
    context: FuseContext,
    at: NameIn,
    how: { flags: number; mode: number; umask: number },
  ): Promise<CreateReply> {
    const { writer, writers, files, openFiles } = this.#parts;
    const call = callOf(context);
    const exclusive = (how.flags & O_EXCL) !== 0;
    const made = await writer.create(this.#free(at), { ...how, exclusive }, call);
    const { ino } = made;
    let { attr } = made;
    try {
      // Somebody else was faster: for the kernel this is a new file, so it will not cut it by itself.
      if (!made.isNew && (how.flags & O_TRUNC) !== 0) {
        // What was written to it here before must not come back.
        attr = await writers.alone(ino, context.signal, () =>
          writer.truncate(ino, 0n, call, { byHandle: true }),
        );
      }
      if (openFiles.find(ino) !== undefined) openFiles.changed(ino, attr, { content: true });
      const opened = files.openCreated(ino, attr, how.flags);
      return { entry: this.#entry({ ino, attr }), opened };
    } catch (error) {
      await writer.closed(ino, new AbortController().signal);
      throw error;
    }
  }

  /** @throws FsError EEXIST, what {@link NameWriter} throws */
  async mknod(context: FuseContext, at: NameIn, node: NodeRequest): Promise<EntryReply> {
    return this.#entry(await this.#parts.writer.mknod(this.#free(at), node, callOf(context)));
  }

  /** @throws FsError EEXIST, what {@link NameWriter} throws */
  async mkdir(
    context: FuseContext,
    at: NameIn,
    how: { mode: number; umask: number },
  ): Promise<EntryReply> {
    const node = { ...how, type: FileType.directory };
    return this.#entry(await this.#parts.writer.mknod(this.#free(at), node, callOf(context)));
  }

  /** @throws FsError EEXIST, ENAMETOOLONG (also of the target), what {@link NameWriter} throws */
  async symlink(context: FuseContext, at: NameIn, target: Uint8Array): Promise<EntryReply> {
    if (target.byteLength > TARGET_BYTES_MAX) throw new FsError('ENAMETOOLONG');
    const node = { type: FileType.symlink, mode: SYMLINK_MODE, umask: 0, target };
    return this.#entry(await this.#parts.writer.mknod(this.#free(at), node, callOf(context)));
  }

  /** @throws FsError EEXIST, EPERM, what {@link NameWriter} throws */
  async link(context: FuseContext, ino: Ino, at: NameIn): Promise<EntryReply> {
    const { writer, root, openFiles } = this.#parts;
    const target = root.toVolume(ino);
    const attr = await writer.link(target, this.#free(at), callOf(context));
    openFiles.changed(target, attr, { content: false });
    return this.#entry({ ino: target, attr });
  }

  /** @throws FsError EPERM, what {@link NameWriter} throws */
  async unlink(context: FuseContext, at: NameIn): Promise<void> {
    const place = this.#real(at);
    // What other threads have opened must live on.
    this.#parts.catchUp();
    this.#lost(await this.#parts.writer.unlink(place, callOf(context)));
  }

  /** @throws FsError ENOTEMPTY, EPERM, what {@link NameWriter} throws */
  async rmdir(context: FuseContext, at: NameIn): Promise<void> {
    await this.#parts.writer.rmdir(this.#real(at), callOf(context));
  }

  /** @throws FsError EEXIST, ENOTEMPTY, EISDIR, EINVAL, EPERM, what {@link NameWriter} throws */
  async rename(context: FuseContext, from: NameIn, to: NameIn, flags: number): Promise<void> {
    const { writer, openFiles, coherence, catchUp } = this.#parts;
    const how = renameFlags(flags);
    const [source, target] = [this.#real(from), this.#real(to)];
    catchUp();
    const { moved, replaced } = await writer.rename(source, target, how, callOf(context));
    if (moved !== undefined) openFiles.changed(moved.ino, moved.attr, { content: false });
    if (replaced !== undefined) this.#lost(replaced);
    coherence.renamed(target.parent, target.name);
    if (how.exchange) coherence.renamed(source.parent, source.name);
  }

  /** An inode that lost a name. */
  #lost({ ino, attr }: Unlinked): void {
    const { openFiles } = this.#parts;
    if (attr === undefined) openFiles.vanished(ino);
    else if (attr.type === FileType.file) openFiles.changed(ino, attr, { content: false });
  }

  #entry({ ino, attr }: Entry): EntryReply {
    const { nodes, openFiles } = this.#parts;
    return nodes.entry(ino, attr, { ticket: openFiles.ticket(), ageMs: 0 });
  }

  /** A name that may be given. @throws FsError EEXIST: it is a virtual one; ENAMETOOLONG */
  #free(at: NameIn): NameAt {
    const place = this.#place(at);
    if (this.#isVirtual(place)) throw new FsError('EEXIST');
    return place;
  }

  /** A name that may be taken away. @throws FsError EPERM: it is a virtual one; ENAMETOOLONG */
  #real(at: NameIn): NameAt {
    const place = this.#place(at);
    if (this.#isVirtual(place)) throw new FsError('EPERM');
    return place;
  }

  #place({ parent, name }: NameIn): NameAt {
    if (name.byteLength > NAME_BYTES_MAX) throw new FsError('ENAMETOOLONG');
    return { parent: this.#parts.root.toVolume(parent), name };
  }

  #isVirtual({ parent, name }: NameAt): boolean {
    const { virtual, root } = this.#parts;
    const isRoot = parent === root.root;
    return isRoot && virtual.find(name, isRoot) !== undefined;
  }
}

function renameFlags(flags: number): RenameFlags {
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) throw new FsError('EINVAL');
  const noReplace = (flags & RENAME_NOREPLACE) !== 0;
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  if (noReplace && exchange) throw new FsError('EINVAL');
  return { noReplace, exchange };
}
