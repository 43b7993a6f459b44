import { type Attr, FileType } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Edge } from '../edge-codec.ts';
import { DirLedger } from './dir-ledger.ts';
import type { MetaTx, Usage } from './meta-tx.ts';
import { contentLength, spaceOf, spaceOfLength } from './node-space.ts';
import type { RenameLedgers, RenameName, RenameState } from './rename-state.ts';

const NO_USAGE: Usage = { space: 0n, inodes: 0n };

/** @see DirLedger.open */
export async function openRenameLedgers(tx: MetaTx, from: Ino, to: Ino): Promise<RenameLedgers> {
  const [src, other] = await Promise.all([
    DirLedger.open(tx, from),
    from === to ? undefined : DirLedger.open(tx, to),
  ]);
  const dst = other ?? src;
  const isAcross = src.quotaRoot !== dst.quotaRoot;
  return {
    src,
    dst,
    isAcross,
    async usageOf(inTx, { args, src: edge, srcAttr, dst: target, dstAttr }) {
      if (!isAcross) return { moved: NO_USAGE, swapped: NO_USAGE, unknown: [] };
      const moved = await usageBelow(inTx, args, edge, srcAttr);
      const swaps = args.flags.exchange === true && target !== undefined;
      const swapped = swaps ? await usageBelow(inTx, args, target, dstAttr) : NO_USAGE;
      const unknown: Ino[] = [];
      if (moved === undefined) unknown.push(edge.ino);
      if (swapped === undefined && target !== undefined) unknown.push(target.ino);
      return { moved: moved ?? NO_USAGE, swapped: swapped ?? NO_USAGE, unknown };
    },
    check(moved, swapped) {
      if (!isAcross) return;
      dst.check(moved);
      src.check(swapped);
    },
  };
}

/**
 * Charges both directories for what moves between them, and the new one for what it loses.
 *
 * @param moved - what quotas are charged, below the moved inode too
 * @param swapped - the same for what moves the other way; undefined when nothing had the new name
 */
export function chargeMove(state: RenameState, moved: Usage, swapped: Usage | undefined): void {
  const { ledgers, isSameParent, srcAttr, args, dstAttr } = state;
  const { src, dst, isAcross } = ledgers;
  if (!isSameParent) {
    src.chargeStats(entryStats(srcAttr, -1n));
    dst.chargeStats(entryStats(srcAttr, 1n));
    if (isAcross) {
      src.chargeQuotas({ space: -moved.space, inodes: -moved.inodes });
      dst.chargeQuotas(moved);
    }
  }
  if (swapped === undefined) return;
  if (args.flags.exchange !== true) {
    const less = entryStats(dstAttr, -1n);
    dst.chargeStats(less);
    dst.chargeQuotas(less);
    return;
  }
  if (isSameParent) return;
  dst.chargeStats(entryStats(dstAttr, -1n));
  src.chargeStats(entryStats(dstAttr, 1n));
  if (!isAcross) return;
  dst.chargeQuotas({ space: -swapped.space, inodes: -swapped.inodes });
  src.chargeQuotas(swapped);
}

/** What one entry counts as in its directory, `times` over. A missing inode counts as an empty one. */
function entryStats(attr: Attr | undefined, times: bigint) {
  const length = attr === undefined ? 0n : contentLength(attr);
  return { length: length * times, space: spaceOfLength(length) * times, inodes: times };
}

/** @returns undefined when it is a directory that has not been summed up yet */
async function usageBelow(
  tx: MetaTx,
  { summaries }: RenameName,
  { ino, type }: Edge,
  attr: Attr | undefined,
): Promise<Usage | undefined> {
  if (attr === undefined) return { space: spaceOfLength(0n), inodes: 1n };
  if (type !== FileType.directory) return { space: spaceOf(attr), inodes: 1n };
  const quota = await tx.dirQuota(ino);
  if (quota === undefined) return summaries.get(ino);
  return { space: quota.usedBytes + spaceOfLength(0n), inodes: quota.usedInodes + 1n };
}
