import { CHUNK_BYTES } from '../../block/geometry.ts';
import { type Attr, FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Xattr } from '../all-xattrs.ts';
import type { Caller } from '../caller.ts';
import type { NameAt } from '../writer.ts';
import { DirLedger } from './dir-ledger.ts';
import { eraseInode } from './drop-inode.ts';
import { isTrashed } from './entry-name.ts';
import type { MetaTx, Usage } from './meta-tx.ts';
import { isImmutable } from './node-flags.ts';
import { contentLength, spaceOf, spaceOfLength } from './node-space.ts';
import { Access, checkAccess } from './permissions.ts';
import { touch } from './touch.ts';
import { chargeOwner, checkOwner, checkVolume } from './volume-ledger.ts';

/** A directory that is no part of the tree yet has none. */
const NO_PARENT = 0n as Ino;
const EMPTY_DIRECTORY_LINKS = 2;

/** Whose the copy is, and when it was made. */
export interface CloneLook {
  readonly caller: Caller;
  /** Owner, mode and times stay as they are; else they are those of something new. */
  readonly preserve: boolean;
  /** Bits that the mode loses; without `preserve`. */
  readonly umask: number;
}

/** Arguments of {@link cloneNode}. */
export interface CloneNode extends CloneLook {
  readonly source: Ino;
  /** Allocated for the copy. */
  readonly ino: Ino;
  /** Undefined: a directory that gets its name when all that is in it has been copied. */
  readonly at: NameAt | undefined;
  /** Whether `at` is where the user wants it, not in a directory that is itself being copied. */
  readonly isTop: boolean;
  readonly xattrs: readonly Xattr[];
}

/**
 * Copies one inode without its names: a file shares its slices with the source.
 *
 * @returns the copy's attribute
 * @throws FsError ENOENT (the source, or the directory), EACCES, EEXIST, ENOTDIR, EPERM, ENOSPC, EDQUOT
 */
export async function cloneNode(tx: MetaTx, args: CloneNode): Promise<Attr> {
  const { source: sourceIno, ino, at, isTop, caller } = args;
  const source = await tx.attr(sourceIno);
  if (source === undefined) throw new FsError('ENOENT');
  const isDirectory = source.type === FileType.directory;
  await checkAccess(tx, caller, source, Access.read | (isDirectory ? Access.search : 0));
  const dir = at && (await directoryFor(tx, at, isTop ? caller : undefined));
  const ledger = at && (await DirLedger.open(tx, at.parent));
  const attr = copyOf(tx, source, args);
  const more = { space: spaceOf(attr), inodes: 1n };
  await checkOwner(tx, attr, more);
  await checkVolume(tx, more);
  if (isTop) ledger?.check(more);
  tx.insertNode(ino, attr);
  tx.addUsage(more);
  chargeOwner(tx, attr, more);
  if (at === undefined || dir === undefined) tx.putDetached(ino);
  else {
    tx.putEdge(at.parent, at.name, { type: attr.type, ino });
    addToDirectory(tx, { ino: at.parent, attr: dir }, attr, isTop);
  }
  ledger?.charge({ length: contentLength(attr), ...more });
  if (attr.type === FileType.directory) tx.initDirStats(ino);
  for (const { name, value } of args.xattrs) tx.putXattr(ino, name, value);
  await copyContent(tx, sourceIno, ino, attr);
  return attr;
}

/** Arguments of {@link attachClone}. */
export interface AttachClone {
  readonly ino: Ino;
  readonly at: NameAt;
  readonly caller: Caller;
  /** Of the directory with all that is in it. */
  readonly sum: Usage;
}

/** Gives a directory that was copied its name. @throws FsError as {@link cloneNode} */
export async function attachClone(tx: MetaTx, args: AttachClone): Promise<void> {
  const { ino, at, caller, sum } = args;
  const dir = await directoryFor(tx, at, caller);
  const [attr, ledger] = await Promise.all([tx.attr(ino), DirLedger.open(tx, at.parent)]);
  if (attr === undefined) throw new FsError('ENOENT', 'the copy was cleaned up meanwhile');
  ledger.check(sum);
  tx.updateNode(ino, { ...attr, parent: at.parent });
  tx.putEdge(at.parent, at.name, { type: attr.type, ino });
  addToDirectory(tx, { ino: at.parent, attr: dir }, attr, true);
  ledger.chargeStats({ length: 0n, space: spaceOfLength(0n), inodes: 1n });
  ledger.chargeQuotas(sum);
  tx.dropDetached(ino);
}

/** Removes a directory that never got a name, and that is empty. */
export async function dropClone(tx: MetaTx, { ino }: { ino: Ino }): Promise<void> {
  const [attr, hasEntries] = await Promise.all([tx.attr(ino), tx.hasEntries(ino)]);
  if (hasEntries) throw new FsError('ENOTEMPTY');
  tx.dropDetached(ino);
  if (attr === undefined) return;
  tx.dropDirStats(ino);
  eraseInode(tx, ino, attr);
}

/** @param caller - undefined: nobody else knows of this directory */
async function directoryFor(
  tx: MetaTx,
  { parent, name }: NameAt,
  caller: Caller | undefined,
): Promise<Attr> {
  const [dir, found] = await Promise.all([tx.attr(parent), tx.edge(parent, name)]);
  if (dir === undefined) throw new FsError('ENOENT');
  if (found !== undefined) throw new FsError('EEXIST');
  if (caller === undefined) return dir;
  if (dir.type !== FileType.directory) throw new FsError('ENOTDIR');
  if (isTrashed(dir)) throw new FsError('ENOENT', 'the directory is in the trash');
  await checkAccess(tx, caller, dir, Access.write | Access.search);
  if (isImmutable(dir)) throw new FsError('EPERM');
  return dir;
}

/** A directory that is being copied keeps the times that it was given. */
function addToDirectory(
  tx: MetaTx,
  dir: { readonly ino: Ino; readonly attr: Attr },
  added: Attr,
  isTop: boolean,
): void {
  const isDirectory = added.type === FileType.directory;
  if (!isTop && !isDirectory) return;
  const changed = isTop ? touch(dir.attr, tx.now) : dir.attr;
  tx.updateNode(dir.ino, { ...changed, nlink: changed.nlink + (isDirectory ? 1 : 0) });
}

function copyOf(tx: MetaTx, source: Attr, { at, caller, preserve, umask }: CloneNode): Attr {
  const isDirectory = source.type === FileType.directory;
  const own = {
    ...{ uid: caller.uid, gid: caller.gid, mode: source.mode & ~umask },
    ...{ atime: tx.now, mtime: tx.now, ctime: tx.now },
  };
  return {
    ...source,
    ...(!preserve && own),
    parent: at?.parent ?? NO_PARENT,
    nlink: isDirectory ? EMPTY_DIRECTORY_LINKS : 1,
  };
}

async function copyContent(tx: MetaTx, source: Ino, ino: Ino, attr: Attr): Promise<void> {
  if (attr.type === FileType.symlink) {
    const target = await tx.symlinkTarget(source);
    if (target !== undefined) tx.putSymlink(ino, target);
  }
  if (attr.type !== FileType.file || attr.length === 0n) return;
  const last = Number((attr.length - 1n) / BigInt(CHUNK_BYTES));
  for (const index of await tx.chunksWithin(source, 0, last)) {
    for (const record of await tx.chunk(source, index)) {
      tx.appendRecord(ino, index, record);
      if (record.sliceId > 0n) tx.addSliceRefs(record.sliceId, record.size, 1);
    }
  }
}
