import { type Attr, FileType, sameTime, type Timespec } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import { withMode } from '../acl-rule.ts';
import { aclRuleMode } from '../acl-xattr.ts';
import type { AclRule } from '../acl.ts';
import type { Caller } from '../caller.ts';
import type { NewTime, SetAttr } from '../set-attr.ts';
import { isTrashed } from './entry-name.ts';
import type { MetaTx } from './meta-tx.ts';
import { spaceOf } from './node-space.ts';
import { Access, mayAccess } from './permissions.ts';
import { chargeOne, negative } from './volume-ledger.ts';

const SETUID = 0o4000;
const SETGID = 0o2000;
const GROUP_EXECUTE = 0o010;
const SPECIAL_BITS = 0o7000;
/** Everything but set-uid and set-gid. */
const PLAIN_BITS = 0o1777;
const MODE_BITS = 0o7777;

/** Arguments of {@link setAttributes}. */
export interface SetAttributes {
  readonly ino: Ino;
  readonly set: SetAttr;
  readonly caller: Caller;
}

/** @see AttrWriter.setattr */
export async function setAttributes(tx: MetaTx, args: SetAttributes): Promise<Attr> {
  const { ino, set, caller } = args;
  const old = await tx.attr(ino);
  if (old === undefined) throw new FsError('ENOENT');
  if (isTrashed(old)) throw new FsError('EPERM', 'it is in the trash');
  const owned = ownership(set, old, caller);
  const moded = await withNewMode(tx, { set, old, next: owned, caller });
  const timed = await withNewTimes(tx, { set, old, next: moded, caller });
  const attr = {
    ...timed,
    flags: set.flags ?? timed.flags,
    tier: set.tier ?? timed.tier,
  };
  if (Object.values(set).every((value) => value === undefined)) return old;
  // Also when nothing is different, as POSIX has it and stock clients do not.
  const changed = { ...attr, ctime: tx.now };
  tx.updateNode(ino, changed);
  moveOwnership(tx, old, changed);
  return changed;
}

/** chown(2), which takes set-uid and set-gid away from what can be run. */
function ownership(set: SetAttr, old: Attr, caller: Caller): Attr {
  const { uid, gid } = set;
  if (uid === undefined && gid === undefined) return old;
  if (gid !== undefined && caller.uid !== 0 && caller.uid !== old.uid) throw new FsError('EPERM');
  const isLimited = caller.checkPerm && caller.uid !== 0;
  if (gid !== undefined && gid !== old.gid && isLimited && !caller.gids.includes(gid)) {
    throw new FsError('EPERM', 'not a member of the new group');
  }
  if (uid !== undefined && uid !== old.uid && isLimited) throw new FsError('EPERM');
  const mode = old.type === FileType.directory ? old.mode : old.mode & ~lostBits(old, caller);
  return { ...old, mode, uid: uid ?? old.uid, gid: gid ?? old.gid };
}

function lostBits(old: Attr, caller: Caller): number {
  const losesBoth = caller.uid !== 0 || (old.mode & GROUP_EXECUTE) !== 0;
  return losesBoth ? SETUID | SETGID : SETUID;
}

interface Step {
  readonly set: SetAttr;
  readonly old: Attr;
  readonly next: Attr;
  readonly caller: Caller;
}

async function withNewMode(tx: MetaTx, { set, old, next, caller }: Step): Promise<Attr> {
  if (set.mode === undefined) return next;
  const mode = wantedMode(set, old, caller);
  if (old.accessAclId !== 0) {
    const rule = await tx.aclRule(old.accessAclId);
    if (rule !== undefined) return withRuleMode(tx, next, rule, mode);
  }
  if (mode === old.mode && next.mode === old.mode) return next;
  const isForeign = caller.uid !== 0 && caller.uid !== old.uid;
  const gains = mode & ~old.mode & (SETUID | SETGID);
  if (isForeign && ((mode ^ old.mode) & PLAIN_BITS || gains)) throw new FsError('EPERM');
  return { ...next, mode };
}

/** The mode asked for, as changed by what is asked for together with it. */
function wantedMode(set: SetAttr, old: Attr, caller: Caller): number {
  let mode = (set.mode ?? 0) & MODE_BITS;
  if (set.uid !== undefined || set.gid !== undefined) {
    mode |= old.mode & (SETUID | SETGID);
    const isSpecial = (old.mode & (SETUID | SETGID)) !== 0;
    if (isSpecial && old.type !== FileType.directory) mode &= ~lostBits(old, caller);
  }
  const isLimited = caller.checkPerm && caller.uid !== 0 && !caller.gids.includes(old.gid);
  return isLimited ? mode & ~SETGID : mode;
}

async function withRuleMode(tx: MetaTx, next: Attr, rule: AclRule, mode: number): Promise<Attr> {
  const changed = withMode(rule, mode);
  const accessAclId = await tx.internAclRule(changed);
  return { ...next, accessAclId, mode: (mode & SPECIAL_BITS) | aclRuleMode(changed) };
}

async function withNewTimes(tx: MetaTx, { set, old, next, caller }: Step): Promise<Attr> {
  const atime = await newTime(tx, { wanted: set.atime, present: old.atime, old, caller });
  const mtime = await newTime(tx, { wanted: set.mtime, present: old.mtime, old, caller });
  return { ...next, atime, mtime };
}

async function newTime(
  tx: MetaTx,
  step: { wanted: NewTime | undefined; present: Timespec; old: Attr; caller: Caller },
): Promise<Timespec> {
  const { wanted, present, old, caller } = step;
  if (wanted === undefined) return present;
  const isNow = wanted === 'now' || wanted.seconds < 0;
  if (!isNow && sameTime(wanted, present)) return present;
  if (!isNow && old.uid === 0 && caller.uid !== 0) throw new FsError('EPERM');
  if (caller.uid !== old.uid && !(await mayAccess(tx, caller, old, Access.write))) {
    throw new FsError('EACCES');
  }
  return isNow ? tx.now : wanted;
}

/**
 * What belongs to somebody else now. Stock clients leave symlinks and devices with whom they charged
 * when they made them, and take them off the new owner when they go: we do not.
 */
function moveOwnership(tx: MetaTx, old: Attr, attr: Attr): void {
  const usage = { space: spaceOf(attr), inodes: 1n };
  if (old.uid !== attr.uid) {
    chargeOne(tx, 'user', old.uid, negative(usage));
    chargeOne(tx, 'user', attr.uid, usage);
  }
  if (old.gid !== attr.gid) {
    chargeOne(tx, 'group', old.gid, negative(usage));
    chargeOne(tx, 'group', attr.gid, usage);
  }
}
