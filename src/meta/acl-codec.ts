import type { AclName, AclRule } from './acl.ts';

const FIXED_BYTES = 8;
const COUNT_BYTES = 4;
const NAME_BYTES = 6;

/**
 * Decodes a stored access rule, big-endian: owner, group, mask, other (u16 each), then twice a
 * count (u32) and that many ids (u32) with permissions (u16): users, groups.
 *
 * @returns undefined when the counts and the length disagree
 */
export function decodeAclRule(bytes: Uint8Array): AclRule | undefined {
  const users = countedNames(bytes, FIXED_BYTES);
  if (users === undefined) return undefined;
  const groups = countedNames(bytes, FIXED_BYTES + COUNT_BYTES + users.length * NAME_BYTES);
  if (groups === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    owner: view.getUint16(0),
    group: view.getUint16(2),
    mask: view.getUint16(4),
    other: view.getUint16(6),
    users,
    groups,
  };
}

/**
 * Decodes ids (u32) with permissions (u16), big-endian, to the end of `bytes`.
 *
 * @returns undefined when the length is not a multiple of 6 bytes
 */
export function decodeAclNames(bytes: Uint8Array): AclName[] | undefined {
  if (bytes.byteLength % NAME_BYTES !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength / NAME_BYTES }, (_, index) => ({
    id: view.getUint32(index * NAME_BYTES),
    perm: view.getUint16(index * NAME_BYTES + 4),
  }));
}

function countedNames(bytes: Uint8Array, at: number): AclName[] | undefined {
  if (bytes.byteLength < at + COUNT_BYTES) return undefined;
  const count = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
  const start = at + COUNT_BYTES;
  const end = start + count * NAME_BYTES;
  return end > bytes.byteLength ? undefined : decodeAclNames(bytes.subarray(start, end));
}

/** The inverse of {@link decodeAclRule}. */
export function encodeAclRule(rule: AclRule): Uint8Array {
  const parts = [rule.users, rule.groups].map((names) => {
    const bytes = new Uint8Array(COUNT_BYTES + names.length * NAME_BYTES);
    new DataView(bytes.buffer).setUint32(0, names.length);
    bytes.set(encodeAclNames(names), COUNT_BYTES);
    return bytes;
  });
  const fixed = new Uint8Array(FIXED_BYTES);
  const view = new DataView(fixed.buffer);
  [rule.owner, rule.group, rule.mask, rule.other].forEach((bits, index) => {
    view.setUint16(index * 2, bits);
  });
  return new Uint8Array(Buffer.concat([fixed, ...parts]));
}

/** The inverse of {@link decodeAclNames}. */
export function encodeAclNames(names: readonly AclName[]): Uint8Array {
  const bytes = new Uint8Array(names.length * NAME_BYTES);
  const view = new DataView(bytes.buffer);
  names.forEach(({ id, perm }, index) => {
    view.setUint32(index * NAME_BYTES, id);
    view.setUint16(index * NAME_BYTES + 4, perm);
  });
  return bytes;
}
