import { type Attr, FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import { MetaError } from '../engine.ts';
import { isTrashed } from './entry-name.ts';
import type { MetaTx } from './meta-tx.ts';
import { isImmutable, isPinned } from './node-flags.ts';
import { Access, checkAccess, checkSticky } from './permissions.ts';
import { chargeMove, openRenameLedgers } from './rename-ledgers.ts';
import { checkNoLoop, movedParent, updateParents } from './rename-parents.ts';
import type { RenameName, RenameState } from './rename-state.ts';
import { type Replaced, replaceTarget, swapTarget } from './rename-target.ts';

/** What {@link renameName} did. */
export interface RenamedNames {
  /** Undefined when there was nothing to be done. */
  readonly moved: { readonly ino: Ino; readonly attr: Attr } | undefined;
  readonly replaced: Replaced | undefined;
  /** Nothing was done: what is below these directories must be known before. */
  readonly needsSummaries: readonly Ino[];
}

const NOTHING: RenamedNames = { moved: undefined, replaced: undefined, needsSummaries: [] };

/** @see NameWriter.rename */
export async function renameName(tx: MetaTx, args: RenameName): Promise<RenamedNames> {
  const state = await readState(tx, args);
  if (state === undefined) return NOTHING;
  const { src, dst, ledgers } = state;
  await checkRename(tx, state);
  const { moved: usage, swapped, unknown } = await ledgers.usageOf(tx, state);
  if (unknown.length > 0) return { ...NOTHING, needsSummaries: unknown };
  ledgers.check(usage, swapped);
  const attr = { ...movedParent(state, state.srcAttr, args.to.parent), ctime: tx.now };
  const replaced = await settleTarget(tx, state);
  if (!state.isSameParent && attr.parent === 0n) {
    tx.addLinks(src.ino, args.to.parent, 1);
    tx.addLinks(src.ino, args.from.parent, -1);
  }
  tx.updateNode(src.ino, attr);
  tx.putEdge(args.to.parent, args.to.name, src);
  updateParents(tx, state);
  chargeMove(state, usage, dst === undefined ? undefined : swapped);
  return { moved: { ino: src.ino, attr }, replaced, needsSummaries: [] };
}

async function settleTarget(tx: MetaTx, state: RenameState): Promise<Replaced | undefined> {
  const { args, dst } = state;
  if (args.flags.exchange === true) return swapTarget(tx, state);
  tx.removeEdge(args.from.parent, args.from.name);
  return dst === undefined ? undefined : replaceTarget(tx, state, dst);
}

/** @returns undefined when both names are the same already */
async function readState(tx: MetaTx, args: RenameName): Promise<RenameState | undefined> {
  const { from, to, flags } = args;
  const isSameParent = from.parent === to.parent;
  const [srcDir, src, otherDir, dst, ledgers] = await Promise.all([
    tx.attr(from.parent),
    tx.edge(from.parent, from.name),
    isSameParent ? undefined : tx.attr(to.parent),
    tx.edge(to.parent, to.name),
    openRenameLedgers(tx, from.parent, to.parent),
  ]);
  const dstDir = isSameParent ? srcDir : otherDir;
  if (srcDir === undefined || dstDir === undefined || src === undefined)
    throw new FsError('ENOENT');
  if (isSameParent && Buffer.compare(from.name, to.name) === 0) return undefined;
  if (dst !== undefined && flags.noReplace === true) throw new FsError('EEXIST');
  if (dst?.ino === src.ino) return undefined;
  if (dst === undefined && flags.exchange === true) throw new FsError('ENOENT');
  const [srcAttr, dstAttr] = await Promise.all([
    tx.attr(src.ino),
    dst === undefined ? undefined : tx.attr(dst.ino),
  ]);
  if (srcAttr === undefined) {
    throw new MetaError('corrupt', `d${from.parent}: inode ${src.ino} is missing`);
  }
  return { args, isSameParent, srcDir, dstDir, src, srcAttr, dst, dstAttr, ledgers };
}

async function checkRename(tx: MetaTx, state: RenameState): Promise<void> {
  const { args, srcDir, dstDir, srcAttr, dst, dstAttr } = state;
  const { caller, flags } = args;
  const rights = Access.write | Access.search;
  if (srcDir.type !== FileType.directory) throw new FsError('ENOTDIR');
  await checkAccess(tx, caller, srcDir, rights);
  if (dstDir.type !== FileType.directory) throw new FsError('ENOTDIR');
  if (isTrashed(dstDir) && flags.restore !== true) throw new FsError('ENOENT');
  await checkAccess(tx, caller, dstDir, rights);
  if (isPinned(srcDir) || isImmutable(dstDir) || isPinned(srcAttr)) throw new FsError('EPERM');
  checkTypes(state);
  checkStickyMove(state);
  if (dstAttr !== undefined) {
    if (isPinned(dstAttr)) throw new FsError('EPERM');
    checkSticky(caller, dstDir, dstAttr);
  }
  checkSticky(caller, srcDir, srcAttr);
  await checkNoLoop(tx, state);
  if (dst?.type === FileType.directory && flags.exchange !== true) {
    if (await tx.hasEntries(dst.ino)) throw new FsError('ENOTEMPTY');
  }
}

function checkTypes({ args, src, dst }: RenameState): void {
  if (dst === undefined || args.flags.exchange === true) return;
  const [from, to] = [src.type, dst.type].map((type) => type === FileType.directory);
  if (from === true && to === false) throw new FsError('ENOTDIR');
  if (from === false && to === true) throw new FsError('EISDIR');
}

/** Out of a sticky directory, whoever checks permissions otherwise. */
function checkStickyMove({ args, isSameParent, srcDir, src, srcAttr }: RenameState): void {
  const { uid } = args.caller;
  if (isSameParent || uid === 0 || (srcDir.mode & 0o1000) === 0 || uid === srcAttr.uid) return;
  if (uid !== srcDir.uid || src.type === FileType.directory) throw new FsError('EACCES');
}
