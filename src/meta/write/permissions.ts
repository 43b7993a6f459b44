import { ACL_NO_MASK } from '../acl-xattr.ts';
import type { AclRule } from '../acl.ts';
import type { Caller } from '../caller.ts';
import type { Attr } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { MetaTx } from './meta-tx.ts';

/** Bits of an access mask, as in a mode's last digit. */
export const Access = { read: 4, write: 2, search: 1 } as const;

const GROUP_BITS = 0o070;
const STICKY = 0o1000;

/**
 * Whether a caller may do what `mask` says. Root may do everything, and so may everybody when the
 * kernel checks.
 *
 * @throws FsError EACCES
 */
export async function checkAccess(
  tx: Pick<MetaTx, 'aclRule'>,
  caller: Caller,
  attr: Attr,
  mask: number,
): Promise<void> {
  if (!(await mayAccess(tx, caller, attr, mask))) throw new FsError('EACCES');
}

/** @see checkAccess */
export async function mayAccess(
  tx: Pick<MetaTx, 'aclRule'>,
  caller: Caller,
  attr: Attr,
  mask: number,
): Promise<boolean> {
  if (caller.uid === 0 || !caller.checkPerm) return true;
  if (attr.accessAclId !== 0 && (attr.mode & GROUP_BITS) !== 0) {
    const rule = await tx.aclRule(attr.accessAclId);
    if (rule !== undefined) return ruleAllows(rule, caller, attr, mask);
  }
  return (classBits(caller, attr) & mask) === mask;
}

/**
 * What a sticky directory allows, whoever checks permissions otherwise.
 *
 * @throws FsError EACCES (sic: other clients give that, not EPERM)
 */
export function checkSticky(caller: Caller, dir: Attr, entry: Pick<Attr, 'uid'>): void {
  if (caller.uid === 0 || (dir.mode & STICKY) === 0) return;
  if (caller.uid !== dir.uid && caller.uid !== entry.uid) throw new FsError('EACCES');
}

function classBits(caller: Caller, attr: Attr): number {
  if (caller.uid === attr.uid) return attr.mode >> 6;
  return caller.gids.includes(attr.gid) ? attr.mode >> 3 : attr.mode;
}

function ruleAllows(rule: AclRule, caller: Caller, attr: Attr, mask: number): boolean {
  const suffices = (perm: number) => (perm & mask) === mask;
  if (caller.uid === attr.uid) return suffices(rule.owner);
  const limit = rule.mask === ACL_NO_MASK ? 0o7 : rule.mask;
  const user = rule.users.find(({ id }) => id === caller.uid);
  if (user !== undefined) return suffices(user.perm & limit);
  const groups = [{ id: attr.gid, perm: rule.group }, ...rule.groups].filter(({ id }) =>
    caller.gids.includes(id),
  );
  if (groups.length > 0) return groups.some(({ perm }) => suffices(perm & limit));
  return suffices(rule.other);
}
