import { type Attr, FileType, type Timespec } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import { type Ino, SPECIAL_INO, TRASH_INO } from '../../posix/ino.ts';
import type { AclRule } from '../acl.ts';
import type { Entry, MetaReader } from '../engine.ts';
import type { LockType, RangeLock } from '../file-lock.ts';
import type { IdBatch } from '../id-batch.ts';
import type { SetAttr } from '../set-attr.ts';
import type {
  AllocateMode,
  CloneOptions,
  Committed,
  CopyRange,
  Created,
  MetaWriter,
  NameAt,
  NewNode,
  Renamed,
  RenameFlags,
  SliceCommit,
  Unlinked,
  WriteCall,
} from '../writer.ts';
import { checkNewName, checkOldName, isDots, isTrashIno, isTrashName } from './entry-name.ts';
import { FILE_BYTES_MAX } from './growth.ts';
import type { LockKeeper } from './lock-keeper.ts';
import type { Usage } from './meta-tx.ts';
import type { OpenTable } from './open-table.ts';
import { sumTree } from './sum-directory.ts';
import { TreeClone } from './tree-clone.ts';
import type { TrashHours } from './trash-hours.ts';
import type { RemovedName } from './unlink.ts';
import type { WriteRunner } from './write-runner.ts';

const TARGET_BYTES_MAX = 4096;
const XATTR_NAME_BYTES_MAX = 255;
const XATTR_VALUE_BYTES_MAX = 65_536;

/** What a {@link VolumeWriter} is made of. */
export interface VolumeWriterParts {
  readonly engine: MetaReader;
  readonly runner: WriteRunner;
  readonly trash: TrashHours;
  readonly open: OpenTable;
  readonly locks: LockKeeper;
  readonly inodes: IdBatch;
  readonly slices: IdBatch;
  /** Told of files that are gone, whose data is to be deleted. */
  readonly onDeleted: (ino: Ino, length: bigint) => void;
  readonly refresh: (signal: AbortSignal) => Promise<void>;
}

/** Checks what needs no transaction, and runs the transactions that do the rest. */
export class VolumeWriter implements MetaWriter {
  readonly #parts: VolumeWriterParts;
  readonly #runner: WriteRunner;

  constructor(parts: VolumeWriterParts) {
    this.#parts = parts;
    this.#runner = parts.runner;
  }

  refresh(signal: AbortSignal): Promise<void> {
    return this.#parts.refresh(signal);
  }

  async mknod(at: NameAt, node: NewNode, call: WriteCall): Promise<Entry> {
    checkTarget(node);
    const { ino, attr } = await this.#make(at, node, call, false);
    return { ino, attr };
  }

  async create(
    at: NameAt,
    file: { readonly mode: number; readonly umask: number; readonly exclusive: boolean },
    call: WriteCall,
  ): Promise<Created> {
    const { mode, umask, exclusive } = file;
    const created = await this.#make(at, { type: FileType.file, mode, umask }, call, !exclusive);
    this.#parts.open.opened(created.ino);
    return created;
  }

  async link(ino: Ino, { parent, name }: NameAt, { caller, signal }: WriteCall): Promise<Attr> {
    checkAddable(parent, name);
    const args = { ino, parent, name: own(name), caller };
    return this.#runner.run('linkName', args, { turns: [parent, ino], signal });
  }

  async unlink(
    { parent, name }: NameAt,
    { caller, signal }: WriteCall,
    options: { skipTrash?: boolean } = {},
  ): Promise<Unlinked> {
    checkOldName(name);
    if (isTrashName(parent, name)) throw new FsError('EPERM', 'the trash');
    if (isTrashIno(parent) && caller.uid !== 0) throw new FsError('EPERM', 'in the trash');
    const trash = await this.#trash(parent, options, signal);
    const args = { parent, name: own(name), trash, caller };
    const removed = await this.#runner.run('unlinkName', args, { turns: [parent], signal });
    return this.#noteRemoved(removed);
  }

  async rmdir(
    { parent, name }: NameAt,
    { caller, signal }: WriteCall,
    options: { skipTrash?: boolean } = {},
  ): Promise<Unlinked> {
    checkOldName(name);
    if (isDots(name)) throw new FsError(name.byteLength === 1 ? 'EINVAL' : 'ENOTEMPTY');
    if (isTrashName(parent, name)) throw new FsError('EPERM', 'the trash');
    if (isTrashIno(parent) && (caller.uid !== 0 || parent === TRASH_INO))
      throw new FsError('EPERM');
    const trash = await this.#trash(parent, options, signal);
    const args = { parent, name: own(name), trash, caller };
    const removed = await this.#runner.run('removeDirectory', args, { turns: [parent], signal });
    return this.#noteRemoved(removed);
  }

  async clone(source: Ino, at: NameAt, options: CloneOptions, call: WriteCall): Promise<void> {
    checkAddable(at.parent, at.name);
    if (isTrashIno(source)) throw new FsError('EPERM', 'the trash');
    const to = { parent: at.parent, name: own(at.name) };
    await new TreeClone({ ...this.#parts, names: this }, options, call).run(source, to);
  }

  async rename(
    from: NameAt,
    to: NameAt,
    flags: RenameFlags,
    { caller, signal }: WriteCall,
  ): Promise<Renamed> {
    checkRename(from, to, flags, caller.uid);
    const trash =
      flags.exchange === true ? undefined : await this.#parts.trash.dirFor(to.parent, signal);
    const summaries = new Map<Ino, Usage>();
    const args = {
      from: { parent: from.parent, name: own(from.name) },
      to: { parent: to.parent, name: own(to.name) },
      ...{ flags, trash, caller, summaries },
    };
    for (;;) {
      const renamed = await this.#runner.run('renameName', args, {
        turns: [from.parent, to.parent],
        signal,
      });
      if (renamed.needsSummaries.length === 0) {
        const { moved, replaced } = renamed;
        return { moved, replaced: replaced && this.#noteRemoved(replaced) };
      }
      for (const dir of renamed.needsSummaries) {
        summaries.set(dir, await sumTree(this.#parts.engine, dir, signal));
      }
    }
  }

  setattr(ino: Ino, set: SetAttr, { caller, signal }: WriteCall): Promise<Attr> {
    return this.#runner.run('setAttributes', { ino, set, caller }, { turns: [ino], signal });
  }

  async setxattr(
    ino: Ino,
    xattr: { name: Uint8Array; value: Uint8Array; how: 'any' | 'create' | 'replace' },
    { signal }: WriteCall,
  ): Promise<void> {
    const { name, value, how } = xattr;
    checkXattrName(name);
    if (value.byteLength > XATTR_VALUE_BYTES_MAX) throw new FsError('ERANGE');
    const args = { ino, name: own(name), value: own(value), how };
    await this.#runner.run('setXattr', args, { turns: [ino], signal });
  }

  async removexattr(ino: Ino, name: Uint8Array, { signal }: WriteCall): Promise<void> {
    checkXattrName(name);
    await this.#runner.run('removeXattr', { ino, name: own(name) }, { turns: [ino], signal });
  }

  async setAcl(
    ino: Ino,
    acl: { kind: 'access' | 'default'; rule: AclRule | undefined },
    { caller, signal }: WriteCall,
  ): Promise<Attr> {
    if (!this.#runner.rules.enableAcl) throw new FsError('EOPNOTSUPP', 'ACLs are switched off');
    if (ino >= SPECIAL_INO) throw new FsError('EPERM');
    return this.#runner.run('setAcl', { ino, ...acl, caller }, { turns: [ino], signal });
  }

  newSliceId(signal: AbortSignal): Promise<bigint> {
    return this.#parts.slices.take(signal);
  }

  commitSlices(
    ino: Ino,
    commits: readonly SliceCommit[],
    mtime: Timespec,
    { signal }: WriteCall,
  ): Promise<Committed> {
    return this.#runner.run('commitSlices', { ino, commits, mtime }, { turns: [ino], signal });
  }

  async truncate(
    ino: Ino,
    length: bigint,
    { caller, signal }: WriteCall,
    options: { byHandle?: boolean } = {},
  ): Promise<Attr> {
    if (length < 0n) throw new FsError('EINVAL');
    if (length >= FILE_BYTES_MAX) throw new FsError('EFBIG');
    const args = { ino, length, byHandle: options.byHandle ?? false, caller };
    return this.#runner.run('truncateFile', args, { turns: [ino], signal });
  }

  async fallocate(
    ino: Ino,
    range: { mode: AllocateMode; offset: bigint; length: bigint },
    { caller, signal }: WriteCall,
  ): Promise<Attr> {
    const { mode, offset, length } = range;
    if (offset < 0n || length <= 0n) throw new FsError('EINVAL');
    if (mode.how === 'punch' && !mode.keepSize) throw new FsError('EINVAL');
    if (offset + length >= FILE_BYTES_MAX) throw new FsError('EFBIG');
    return this.#runner.run('allocateRange', { ino, ...range, caller }, { turns: [ino], signal });
  }

  async copyFileRange(
    range: CopyRange,
    { signal }: WriteCall,
  ): Promise<{ copied: bigint; attr: Attr }> {
    const { from, to, length } = range;
    if (from.offset < 0n || to.offset < 0n || length < 0n) throw new FsError('EINVAL');
    if (to.offset + length >= FILE_BYTES_MAX) throw new FsError('EFBIG');
    const distance = from.offset - to.offset;
    const overlaps = from.ino === to.ino && distance < length && -distance < length;
    if (overlaps && length > 0n) throw new FsError('EINVAL', 'the ranges overlap');
    return this.#runner.run('copyRange', range, { turns: [to.ino, from.ino], signal });
  }

  opened(ino: Ino): void {
    this.#parts.open.opened(ino);
  }

  async closed(ino: Ino, signal: AbortSignal): Promise<void> {
    await this.#parts.open.closed(ino, signal);
  }

  flock(
    ino: Ino,
    lock: { owner: bigint; type: LockType; wait: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    return this.#parts.locks.flock(ino, lock, signal);
  }

  setRangeLock(
    ino: Ino,
    lock: { owner: bigint; range: RangeLock; wait: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    return this.#parts.locks.setRange(ino, lock, signal);
  }

  findRangeLock(
    ino: Ino,
    lock: { owner: bigint; range: RangeLock },
    signal: AbortSignal,
  ): Promise<RangeLock | undefined> {
    return this.#parts.locks.findRange(ino, lock, signal);
  }

  async #make(at: NameAt, node: NewNode, call: WriteCall, reuse: boolean): Promise<Created> {
    const { parent, name } = at;
    checkAddable(parent, name);
    const ino = (await this.#parts.inodes.take(call.signal)) as Ino;
    const target = node.target === undefined ? {} : { target: own(node.target) };
    const args = { parent, name: own(name), node: { ...node, ...target }, ino, reuse };
    return this.#runner.run(
      'makeNode',
      { ...args, caller: call.caller },
      { turns: [parent], signal: call.signal },
    );
  }

  async #trash(parent: Ino, options: { skipTrash?: boolean }, signal: AbortSignal) {
    if (options.skipTrash === true) return undefined;
    return this.#parts.trash.dirFor(parent, signal);
  }

  #noteRemoved({ ino, attr, deleted, isSustained }: RemovedName): Unlinked {
    if (isSustained) this.#parts.open.sustain(ino);
    if (deleted !== undefined) this.#parts.onDeleted(ino, deleted);
    return { ino, attr };
  }
}

/** A copy: the caller's buffer may be used for something else before the last try. */
function own(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}

function checkAddable(parent: Ino, name: Uint8Array): void {
  if (isTrashIno(parent) || isTrashName(parent, name)) throw new FsError('EPERM', 'the trash');
  if (isDots(name)) throw new FsError('EEXIST');
  checkNewName(name);
}

function checkRename(from: NameAt, to: NameAt, flags: RenameFlags, uid: number): void {
  const isTrash = isTrashName(from.parent, from.name) || isTrashName(to.parent, to.name);
  if (isTrash || isTrashIno(to.parent)) throw new FsError('EPERM', 'the trash');
  if (isTrashIno(from.parent) && uid !== 0) throw new FsError('EPERM', 'in the trash');
  if (flags.exchange === true && (flags.noReplace === true || flags.restore === true)) {
    throw new FsError('EINVAL', 'flags that exclude each other');
  }
  checkOldName(from.name);
  checkNewName(to.name);
}

function checkTarget({ type, target }: NewNode): void {
  if (type !== FileType.symlink) return;
  if (target === undefined || target.byteLength === 0 || target.includes(0)) {
    throw new FsError('EINVAL', 'the target of a symlink');
  }
  if (target.byteLength > TARGET_BYTES_MAX) throw new FsError('ENAMETOOLONG');
}

function checkXattrName(name: Uint8Array): void {
  if (name.byteLength === 0) throw new FsError('EINVAL', 'an empty name');
  if (name.byteLength > XATTR_NAME_BYTES_MAX) throw new FsError('ERANGE');
}
