import { endianness } from 'node:os';
import { FsError } from '../posix/errno.ts';
import type { AclName, AclRule } from './acl.ts';
import { ACL_NO_MASK } from './acl-xattr.ts';

/** @see linux/posix_acl_xattr.h */
const VERSION = 2;
const HEADER_BYTES = 4;
const ITEM_BYTES = 8;
/** @see linux/posix_acl.h */
const OWNER = 0x01;
const USER = 0x02;
const GROUP = 0x04;
const NAMED_GROUP = 0x08;
const MASK = 0x10;
const OTHER = 0x20;
const LITTLE_ENDIAN = endianness() === 'LE';

/**
 * The rule that a value of `system.posix_acl_access` or `system.posix_acl_default` stands for.
 *
 * @throws FsError EINVAL, EOPNOTSUPP (another version of the layout)
 */
export function decodeAclXattr(value: Uint8Array): AclRule {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  if (value.byteLength < HEADER_BYTES || (value.byteLength - HEADER_BYTES) % ITEM_BYTES !== 0) {
    throw new FsError('EINVAL', `${value.byteLength} bytes are no ACL`);
  }
  if (view.getUint32(0, LITTLE_ENDIAN) !== VERSION) throw new FsError('EOPNOTSUPP');
  const perms = new Map<number, number>();
  const users: AclName[] = [];
  const groups: AclName[] = [];
  for (let at = HEADER_BYTES; at < value.byteLength; at += ITEM_BYTES) {
    const tag = view.getUint16(at, LITTLE_ENDIAN);
    const perm = view.getUint16(at + 2, LITTLE_ENDIAN);
    const id = view.getUint32(at + 4, LITTLE_ENDIAN);
    if (perm > 7) throw new FsError('EINVAL', `${perm} are no permissions`);
    if (tag === USER) users.push({ id, perm });
    else if (tag === NAMED_GROUP) groups.push({ id, perm });
    else if (perms.has(tag) || ![OWNER, GROUP, MASK, OTHER].includes(tag)) {
      throw new FsError('EINVAL', `a tag ${tag} too many`);
    } else perms.set(tag, perm);
  }
  const [owner, group, other] = [OWNER, GROUP, OTHER].map((tag) => perms.get(tag));
  if (owner === undefined || group === undefined || other === undefined) {
    throw new FsError('EINVAL', 'an ACL without owner, group or others');
  }
  const mask = perms.get(MASK) ?? ACL_NO_MASK;
  const hasNames = users.length + groups.length > 0;
  if (hasNames && mask === ACL_NO_MASK) throw new FsError('EINVAL', 'an ACL without a mask');
  return { owner, group, mask, other, users, groups };
}
