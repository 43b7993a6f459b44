import type {
  AttrChanges,
  CreateReply,
  FuseMutations,
  LockRequest,
  NameIn,
  NodeRequest,
  OpenRange,
} from '../../fuse/mutations.ts';
import type { AttrReply, EntryReply, FuseContext } from '../../fuse/operations.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Logger } from '../../runtime/logger.ts';
import { changeDetail } from '../internal/change-detail.ts';
import type { LoggedCalls } from '../internal/logged-calls.ts';
import { AttrChanging } from './attr-changes.ts';
import { DataChanges } from './data-changes.ts';
import { FileLocks } from './file-locks.ts';
import { NameChanges } from './name-changes.ts';
import type { WriteParts } from './write-parts.ts';

/** Everything that changes a volume, with its failures as error numbers and a line in the access log. */
export class VfsMutations implements FuseMutations {
  readonly data: DataChanges;
  readonly locks: FileLocks;
  readonly #names: NameChanges;
  readonly #attrs: AttrChanging;
  readonly #calls: LoggedCalls;

  constructor(parts: WriteParts, calls: LoggedCalls, logger: Logger) {
    this.#calls = calls;
    this.#names = new NameChanges(parts);
    this.#attrs = new AttrChanging(parts);
    this.data = new DataChanges(parts);
    this.locks = new FileLocks(parts, logger);
  }

  create(
    context: FuseContext,
    at: NameIn,
    how: { flags: number; mode: number; umask: number },
  ): Promise<CreateReply> {
    const work = () => this.#names.create(context, at, how);
    return this.#calls.run('create', context, work, (made) => changeDetail.create(at, how, made));
  }

  mknod(context: FuseContext, at: NameIn, node: NodeRequest): Promise<EntryReply> {
    const work = () => this.#names.mknod(context, at, node);
    return this.#calls.run('mknod', context, work, (made) => changeDetail.mknod(at, node, made));
  }

  mkdir(
    context: FuseContext,
    at: NameIn,
    how: { mode: number; umask: number },
  ): Promise<EntryReply> {
    const work = () => this.#names.mkdir(context, at, how);
    return this.#calls.run('mkdir', context, work, (made) => changeDetail.mkdir(at, how, made));
  }

  symlink(context: FuseContext, at: NameIn, target: Uint8Array): Promise<EntryReply> {
    const work = () => this.#names.symlink(context, at, target);
    return this.#calls.run('symlink', context, work, (made) =>
      changeDetail.symlink(at, target, made),
    );
  }

  link(context: FuseContext, ino: Ino, at: NameIn): Promise<EntryReply> {
    const work = () => this.#names.link(context, ino, at);
    return this.#calls.run('link', context, work, (made) => changeDetail.link(ino, at, made));
  }

  unlink(context: FuseContext, at: NameIn): Promise<void> {
    const work = () => this.#names.unlink(context, at);
    return this.#calls.run('unlink', context, work, () => changeDetail.name(at));
  }

  rmdir(context: FuseContext, at: NameIn): Promise<void> {
    const work = () => this.#names.rmdir(context, at);
    return this.#calls.run('rmdir', context, work, () => changeDetail.name(at));
  }

  rename(context: FuseContext, from: NameIn, to: NameIn, flags: number): Promise<void> {
    const work = () => this.#names.rename(context, from, to, flags);
    return this.#calls.run('rename', context, work, () => changeDetail.rename(from, to, flags));
  }

  setattr(context: FuseContext, ino: Ino, changes: AttrChanges): Promise<AttrReply> {
    const work = () => this.#attrs.setattr(context, ino, changes);
    return this.#calls.run('setattr', context, work, (found) =>
      changeDetail.setattr(ino, changes, found),
    );
  }

  setxattr(
    context: FuseContext,
    ino: Ino,
    xattr: { name: Uint8Array; value: Uint8Array; how: 'any' | 'create' | 'replace' },
  ): Promise<void> {
    const work = () => this.#attrs.setxattr(context, ino, xattr);
    return this.#calls.run('setxattr', context, work, () => changeDetail.setxattr(ino, xattr));
  }

  removexattr(context: FuseContext, ino: Ino, name: Uint8Array): Promise<void> {
    const work = () => this.#attrs.removexattr(context, ino, name);
    const tell = () => changeDetail.name({ parent: ino, name });
    return this.#calls.run('removexattr', context, work, tell);
  }

  fallocate(
    context: FuseContext,
    at: OpenRange,
    range: { mode: number; length: bigint },
  ): Promise<void> {
    const work = () => this.data.fallocate(context, at, range);
    return this.#calls.run('fallocate', context, work, () => changeDetail.fallocate(at, range));
  }

  copyFileRange(
    context: FuseContext,
    from: OpenRange,
    to: OpenRange,
    length: bigint,
  ): Promise<number> {
    const work = () => this.data.copyFileRange(context, from, to, length);
    return this.#calls.run('copy_file_range', context, work, (copied) =>
      changeDetail.copy(from, to, copied),
    );
  }

  flush(context: FuseContext, ino: Ino, fh: bigint, lockOwner: bigint): Promise<void> {
    const work = async () => {
      try {
        await this.data.closing(context, fh);
      } finally {
        await this.locks.closed(context, ino, lockOwner);
      }
    };
    return this.#calls.run('flush', context, work, () => changeDetail.flush(ino, fh, lockOwner));
  }

  fsync(context: FuseContext, ino: Ino, fh: bigint): Promise<void> {
    const work = () => this.data.flush(context, ino);
    return this.#calls.run('fsync', context, work, () => changeDetail.handle(ino, fh));
  }

  /** Names are in the metadata already. */
  fsyncdir(context: FuseContext, ino: Ino, fh: bigint): Promise<void> {
    const work = () => Promise.resolve();
    return this.#calls.run('fsyncdir', context, work, () => changeDetail.handle(ino, fh));
  }

  getlk(context: FuseContext, ino: Ino, lock: LockRequest): Promise<LockRequest | undefined> {
    const work = () => this.locks.getlk(context, ino, lock);
    return this.#calls.run('getlk', context, work, () => changeDetail.lock(ino, lock));
  }

  setlk(
    context: FuseContext,
    ino: Ino,
    lock: LockRequest,
    options: { wait: boolean },
  ): Promise<void> {
    const work = () => this.locks.setlk(context, ino, lock, options);
    return this.#calls.run('setlk', context, work, () => changeDetail.lock(ino, lock));
  }

  flock(
    context: FuseContext,
    file: { ino: Ino; fh: bigint; owner: bigint },
    type: LockRequest['type'],
    options: { wait: boolean },
  ): Promise<void> {
    const work = () => this.locks.flock(context, file, type, options);
    return this.#calls.run('flock', context, work, () => changeDetail.flock(file, type));
  }

  releaseFlock(ino: Ino, _fh: bigint, owner: bigint): void {
    this.locks.releaseFlock(ino, owner);
  }
}
