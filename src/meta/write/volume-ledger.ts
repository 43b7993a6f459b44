import type { Attr } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import { isExceeded } from './dir-ledger.ts';
import type { MetaTx, OwnerKind, Usage } from './meta-tx.ts';

/** Whom something belongs to. */
type Owner = Pick<Attr, 'uid' | 'gid'>;

/** @throws FsError ENOSPC when the volume has no room for that much more; only growth is limited */
export async function checkVolume(tx: MetaTx, { space, inodes }: Usage): Promise<void> {
  const { capacityBytes, inodesMax } = tx.rules;
  if (capacityBytes === 0n && inodesMax === 0n) return;
  if (space <= 0n && inodes <= 0n) return;
  const usage = await tx.usage();
  const isFull =
    (space > 0n && capacityBytes > 0n && usage.usedBytes + space > capacityBytes) ||
    (inodes > 0n && inodesMax > 0n && usage.inodes + inodes > inodesMax);
  if (isFull) throw new FsError('ENOSPC', 'the volume is full');
}

/** @throws FsError EDQUOT when a user or a group may not have that much more */
export async function checkOwner(tx: MetaTx, owner: Owner, delta: Usage): Promise<void> {
  if (!tx.rules.ownerQuotas || (delta.space <= 0n && delta.inodes <= 0n)) return;
  const [user, group] = await Promise.all([
    tx.ownerQuota('user', owner.uid),
    tx.ownerQuota('group', owner.gid),
  ]);
  if (user !== undefined && isExceeded(user, delta)) {
    throw new FsError('EDQUOT', `the quota of user ${owner.uid}`);
  }
  if (group !== undefined && isExceeded(group, delta)) {
    throw new FsError('EDQUOT', `the quota of group ${owner.gid}`);
  }
}

/** Charges a user and a group. */
export function chargeOwner(tx: MetaTx, owner: Owner, delta: Usage): void {
  chargeOne(tx, 'user', owner.uid, delta);
  chargeOne(tx, 'group', owner.gid, delta);
}

/** Charges one of the two. */
export function chargeOne(tx: MetaTx, kind: OwnerKind, id: number, delta: Usage): void {
  if (tx.rules.ownerQuotas) tx.addOwnerUsage(kind, id, delta);
}

/** The same amount, less instead of more. */
export function negative({ space, inodes }: Usage): Usage {
  return { space: -space, inodes: -inodes };
}
