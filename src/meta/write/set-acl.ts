import type { Attr } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import { isEmptyRule, isMinimalRule, withModeDefaults } from '../acl-rule.ts';
import type { AclRule } from '../acl.ts';
import type { Caller } from '../caller.ts';
import type { MetaTx } from './meta-tx.ts';
import { isImmutable } from './node-flags.ts';

const SETGID = 0o2000;
const SPECIAL_BITS = 0o7000;

/** Arguments of {@link setAcl}. */
export interface SetAcl {
  readonly ino: Ino;
  readonly kind: 'access' | 'default';
  /** Undefined takes the ACL away. */
  readonly rule: AclRule | undefined;
  readonly caller: Caller;
}

/** @see AttrWriter.setAcl */
export async function setAcl(tx: MetaTx, args: SetAcl): Promise<Attr> {
  const { ino, kind, rule, caller } = args;
  const old = await tx.attr(ino);
  if (old === undefined) throw new FsError('ENOENT');
  if (caller.uid !== 0 && caller.uid !== old.uid) throw new FsError('EPERM');
  if (isImmutable(old)) throw new FsError('EPERM');
  const keepsSetgid = caller.uid === 0 || caller.gids.includes(old.gid);
  const mode = keepsSetgid ? old.mode : old.mode & ~SETGID;
  const { id, bits } = await ruleOf(tx, { kind, rule, mode });
  const attr = {
    ...old,
    mode: bits === undefined ? mode : (mode & SPECIAL_BITS) | bits,
    accessAclId: kind === 'access' ? id : old.accessAclId,
    defaultAclId: kind === 'default' ? id : old.defaultAclId,
  };
  const isSame =
    attr.mode === old.mode &&
    attr.accessAclId === old.accessAclId &&
    attr.defaultAclId === old.defaultAclId;
  if (isSame) return old;
  const changed = { ...attr, ctime: tx.now };
  tx.updateNode(ino, changed);
  return changed;
}

/** The id of a rule, 0 when none is needed, and the permission bits that it sets. */
async function ruleOf(
  tx: MetaTx,
  { kind, rule, mode }: { kind: SetAcl['kind']; rule: AclRule | undefined; mode: number },
): Promise<{ id: number; bits: number | undefined }> {
  if (rule === undefined || isEmptyRule(rule)) return { id: 0, bits: undefined };
  if (kind === 'access' && isMinimalRule(rule)) {
    return { id: 0, bits: bitsOf(rule.owner, rule.group, rule.other) };
  }
  const whole = withModeDefaults(rule, mode);
  const id = await tx.internAclRule(whole);
  const bits = kind === 'access' ? bitsOf(whole.owner, whole.mask, whole.other) : undefined;
  return { id, bits };
}

function bitsOf(owner: number, group: number, other: number): number {
  return ((owner & 7) << 6) | ((group & 7) << 3) | (other & 7);
}
