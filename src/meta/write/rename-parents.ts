import { type Attr, FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import { type Ino, ROOT_INO } from '../../posix/ino.ts';
import { isTrashIno } from './entry-name.ts';
import type { MetaTx } from './meta-tx.ts';
import type { RenameState } from './rename-state.ts';
import { touch, touchForName } from './touch.ts';

/** Deeper trees than this are circles. */
const DEPTH_MAX = 10_000;

/** The attribute of what moves to another parent. With several links (parent 0) it stays 0. */
export function movedParent(state: RenameState, attr: Attr, parent: Ino): Attr {
  return state.isSameParent || attr.parent === 0n ? attr : { ...attr, parent };
}

/**
 * A directory must not move below itself. The kernel checks that for its own mount; others could move
 * the new parent meanwhile, so all directories on the way up are watched.
 *
 * @throws FsError EINVAL
 */
export async function checkNoLoop(tx: MetaTx, state: RenameState): Promise<void> {
  const { args, isSameParent, src, dst } = state;
  if (isSameParent) return;
  if (src.type === FileType.directory) await checkOutside(tx, args.to.parent, src.ino);
  if (args.flags.exchange === true && dst?.type === FileType.directory) {
    await checkOutside(tx, args.from.parent, dst.ino);
  }
}

async function checkOutside(tx: MetaTx, dir: Ino, moving: Ino): Promise<void> {
  let at = dir;
  for (let depth = 0; depth < DEPTH_MAX; depth += 1) {
    if (at === moving) throw new FsError('EINVAL', 'a directory below itself');
    if (at === ROOT_INO || at === 0n || isTrashIno(at)) return;
    const attr = await tx.attr(at);
    if (attr === undefined) return;
    at = attr.parent;
  }
}

/** Writes what the rename changes of the two directories. */
export function updateParents(tx: MetaTx, state: RenameState): void {
  const { args, isSameParent, srcDir, dstDir } = state;
  const links = linkChanges(state);
  if (isSameParent) {
    update(tx, args.to.parent, dstDir, { by: links.src + links.dst, isForced: links.isForced });
    return;
  }
  if (!isTrashIno(args.from.parent)) {
    update(tx, args.from.parent, srcDir, { by: links.src, isForced: links.isSrcForced });
  }
  update(tx, args.to.parent, dstDir, { by: links.dst, isForced: links.isForced });
}

/** Sub-directories more or less; `isForced`: some came or went, even if as many as before are there. */
function linkChanges({ args, isSameParent, src, dst }: RenameState) {
  const isSrcDir = src.type === FileType.directory;
  const isDstDir = dst?.type === FileType.directory;
  const exchange = args.flags.exchange === true;
  let [from, to] = [0, 0];
  if (!isSameParent && isSrcDir) [from, to] = [from - 1, to + 1];
  if (isDstDir && !exchange) to -= 1;
  if (isDstDir && exchange && !isSameParent) [from, to] = [from + 1, to - 1];
  const crosses = !isSameParent && (isSrcDir || (exchange && isDstDir));
  return { src: from, dst: to, isSrcForced: crosses, isForced: crosses || (isDstDir && !exchange) };
}

function update(
  tx: MetaTx,
  ino: Ino,
  dir: Attr,
  { by, isForced }: { by: number; isForced: boolean },
): void {
  const touched = isForced ? touch(dir, tx.now) : touchForName(tx, dir);
  if (touched !== undefined) tx.updateNode(ino, { ...touched, nlink: dir.nlink + by });
}
