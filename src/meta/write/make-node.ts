import { type Attr, FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import { type Ino, TRASH_INO, toIno } from '../../posix/ino.ts';
import { childRule, isMinimalRule } from '../acl-rule.ts';
import { aclRuleMode } from '../acl-xattr.ts';
import type { Caller } from '../caller.ts';
import type { Edge } from '../edge-codec.ts';
import { MetaError } from '../engine.ts';
import type { Created, NewNode } from '../writer.ts';
import { DirLedger } from './dir-ledger.ts';
import { isTrashed } from './entry-name.ts';
import type { MetaTx } from './meta-tx.ts';
import { isImmutable, SKIP_TRASH } from './node-flags.ts';
import { spaceOfLength } from './node-space.ts';
import { Access, checkAccess } from './permissions.ts';
import { touch, touchForName } from './touch.ts';
import { checkOwner, checkVolume, chargeOwner } from './volume-ledger.ts';

const DIRECTORY_BYTES = 4096n;
const MODE_BITS = 0o7777;
const SPECIAL_BITS = 0o7000;
const SETGID = 0o2000;
const GROUP_EXECUTE = 0o010;
const TRASH_DIR_MODE = 0o555;

/** Arguments of {@link makeNode}. */
export interface MakeNode {
  readonly parent: Ino;
  readonly name: Uint8Array;
  readonly node: NewNode;
  /** Allocated for it. */
  readonly ino: Ino;
  readonly caller: Caller;
  /** An existing regular file is as good as a new one. */
  readonly reuse: boolean;
}

/** mknod, create, mkdir and symlink. @see NameWriter.mknod */
export async function makeNode(tx: MetaTx, args: MakeNode): Promise<Created> {
  const { parent, name, node, ino, caller } = args;
  const isDirectory = node.type === FileType.directory;
  const [stored, found, ledger] = await Promise.all([
    tx.attr(parent),
    tx.edge(parent, name),
    DirLedger.open(tx, parent),
  ]);
  const dir = await checkedDirectory(tx, stored, caller);
  if (found !== undefined) return existing(tx, args, found);
  const attr = await newAttr(tx, args, dir);
  await checkRoom(tx, attr, ledger);
  const touched = isDirectory ? touch(dir, tx.now) : touchForName(tx, dir);
  tx.insertNode(ino, attr);
  if (touched !== undefined) {
    tx.updateNode(parent, isDirectory ? { ...touched, nlink: dir.nlink + 1 } : touched);
  }
  if (node.target !== undefined) tx.putSymlink(ino, node.target);
  tx.putEdge(parent, name, { type: node.type, ino });
  if (isDirectory) tx.initDirStats(ino);
  const more = { space: spaceOfLength(0n), inodes: 1n };
  tx.addUsage(more);
  ledger.charge({ length: 0n, ...more });
  chargeOwner(tx, attr, more);
  return { ino, attr, isNew: true };
}

/**
 * The hourly directory of the trash, made when it is not there.
 *
 * @returns its inode
 * @throws FsError ENOENT when the volume has no trash; MetaError `corrupt`
 */
export async function makeTrashDir(tx: MetaTx, { name }: { name: Uint8Array }): Promise<Ino> {
  const [dir, found] = await Promise.all([tx.attr(TRASH_INO), tx.edge(TRASH_INO, name)]);
  if (dir === undefined) throw new FsError('ENOENT', 'the volume has no trash');
  if (found !== undefined) {
    if (found.ino > TRASH_INO) return found.ino;
    throw new MetaError('corrupt', `the trash has a directory with inode ${found.ino}`);
  }
  const ino = toIno(TRASH_INO + (await tx.drawTrashNumber()));
  tx.insertNode(ino, {
    ...{ type: FileType.directory, mode: TRASH_DIR_MODE, uid: 0, gid: 0, nlink: 2, rdev: 0 },
    ...{ atime: tx.now, mtime: tx.now, ctime: tx.now, length: DIRECTORY_BYTES, flags: 0 },
    ...{ parent: TRASH_INO, accessAclId: 0, defaultAclId: 0, tier: 0 },
  });
  tx.putEdge(TRASH_INO, name, { type: FileType.directory, ino });
  tx.initDirStats(ino);
  const more = { space: spaceOfLength(0n), inodes: 1n };
  tx.addUsage(more);
  // Its removal takes that back, and `juicefs quota check` counts it.
  chargeOwner(tx, { uid: 0, gid: 0 }, more);
  return ino;
}

/** @throws FsError when no name can be added there */
async function checkedDirectory(tx: MetaTx, dir: Attr | undefined, caller: Caller): Promise<Attr> {
  if (dir === undefined) throw new FsError('ENOENT');
  if (dir.type !== FileType.directory) throw new FsError('ENOTDIR');
  if (isTrashed(dir)) throw new FsError('ENOENT', 'the directory is in the trash');
  await checkAccess(tx, caller, dir, Access.write | Access.search);
  if (isImmutable(dir)) throw new FsError('EPERM');
  return dir;
}

async function existing(tx: MetaTx, args: MakeNode, found: Edge): Promise<Created> {
  if (!args.reuse || found.type !== FileType.file) throw new FsError('EEXIST');
  const attr = await tx.peekAttr(found.ino);
  if (attr === undefined) {
    throw new MetaError('corrupt', `d${args.parent}: inode ${found.ino} is missing`);
  }
  return { ino: found.ino, attr, isNew: false };
}

async function newAttr(tx: MetaTx, args: MakeNode, dir: Attr): Promise<Attr> {
  const { node, caller, parent } = args;
  const isDirectory = node.type === FileType.directory;
  const isSetgid = (dir.mode & SETGID) !== 0;
  const rights = await inheritedRights(tx, node, dir);
  const lengths = { directory: DIRECTORY_BYTES, other: BigInt(node.target?.byteLength ?? 0) };
  return {
    ...rights,
    mode: isSetgid ? setgidMode(rights.mode, node, dir, caller) : rights.mode,
    type: node.type,
    uid: caller.uid,
    gid: isSetgid ? dir.gid : caller.gid,
    ...{ atime: tx.now, mtime: tx.now, ctime: tx.now },
    nlink: isDirectory ? 2 : 1,
    length: isDirectory ? lengths.directory : lengths.other,
    rdev: isDirectory ? 0 : (node.rdev ?? 0),
    parent,
    flags: dir.flags & SKIP_TRASH,
    tier: dir.tier,
  };
}

/** What the directory's default ACL, or without one the umask, makes of the mode asked for. */
async function inheritedRights(
  tx: MetaTx,
  node: NewNode,
  dir: Attr,
): Promise<Pick<Attr, 'mode' | 'accessAclId' | 'defaultAclId'>> {
  const mode = node.mode & MODE_BITS;
  const plain = { mode: mode & ~node.umask, accessAclId: 0, defaultAclId: 0 };
  if (dir.defaultAclId === 0 || node.type === FileType.symlink) return plain;
  const rule = await tx.aclRule(dir.defaultAclId);
  if (rule === undefined) throw new MetaError('corrupt', `the ACL rule ${dir.defaultAclId}`);
  const defaultAclId = node.type === FileType.directory ? dir.defaultAclId : 0;
  if (isMinimalRule(rule)) {
    return { mode: mode & (SPECIAL_BITS | aclRuleMode(rule)), accessAclId: 0, defaultAclId };
  }
  const child = childRule(rule, mode);
  const accessAclId = await tx.internAclRule(child);
  return { mode: (mode & SPECIAL_BITS) | aclRuleMode(child), accessAclId, defaultAclId };
}

function setgidMode(mode: number, node: NewNode, dir: Attr, caller: Caller): number {
  if (node.type === FileType.directory) return mode | SETGID;
  const bits = SETGID | GROUP_EXECUTE;
  const isForeign = caller.checkPerm && caller.uid !== 0 && !caller.gids.includes(dir.gid);
  return isForeign && (mode & bits) === bits ? mode & ~SETGID : mode;
}

async function checkRoom(tx: MetaTx, attr: Attr, ledger: DirLedger): Promise<void> {
  const more = { space: spaceOfLength(0n), inodes: 1n };
  await checkOwner(tx, attr, more);
  await checkVolume(tx, more);
  ledger.check(more);
}
