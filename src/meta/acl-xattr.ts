import { endianness } from 'node:os';
import type { AclRule } from './acl.ts';

/** @see linux/posix_acl_xattr.h */
const VERSION = 2;
const HEADER_BYTES = 4;
const ITEM_BYTES = 8;
const UNDEFINED_ID = 0xffff_ffff;
/** @see linux/posix_acl.h */
const Tag = { owner: 0x01, user: 0x02, group: 0x04, namedGroup: 0x08, mask: 0x10, other: 0x20 };
const LITTLE_ENDIAN = endianness() === 'LE';

/** `mask` of a rule that has none. */
export const ACL_NO_MASK = 0xffff;

/**
 * The value of `system.posix_acl_access` or `system.posix_acl_default` for a rule, as the kernel
 * reads it: version u32, then tag u16, permissions u16, id u32, in the machine's byte order.
 */
export function encodeAclXattr(rule: AclRule): Uint8Array {
  const items: [tag: number, perm: number, id: number][] = [
    [Tag.owner, rule.owner, UNDEFINED_ID],
    ...rule.users.map(({ id, perm }): [number, number, number] => [Tag.user, perm, id]),
    [Tag.group, rule.group, UNDEFINED_ID],
    ...rule.groups.map(({ id, perm }): [number, number, number] => [Tag.namedGroup, perm, id]),
  ];
  if (rule.mask !== ACL_NO_MASK) items.push([Tag.mask, rule.mask, UNDEFINED_ID]);
  items.push([Tag.other, rule.other, UNDEFINED_ID]);
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + items.length * ITEM_BYTES));
  view.setUint32(0, VERSION, LITTLE_ENDIAN);
  items.forEach(([tag, perm, id], index) => {
    const at = HEADER_BYTES + index * ITEM_BYTES;
    view.setUint16(at, tag, LITTLE_ENDIAN);
    view.setUint16(at + 2, perm, LITTLE_ENDIAN);
    view.setUint32(at + 4, id, LITTLE_ENDIAN);
  });
  return new Uint8Array(view.buffer);
}

/**
 * The permission bits that a rule amounts to: owner, other, and as group bits its mask, or its group
 * when it has neither mask nor names.
 */
export function aclRuleMode(rule: AclRule): number {
  const isMinimal =
    rule.mask === ACL_NO_MASK && rule.users.length === 0 && rule.groups.length === 0;
  const group = isMinimal ? rule.group : rule.mask;
  return ((rule.owner & 7) << 6) | ((group & 7) << 3) | (rule.other & 7);
}
