import { ACL_NO_MASK } from './acl-xattr.ts';
import type { AclRule } from './acl.ts';

/** A field that a rule leaves to the mode. */
export const ACL_UNSET = 0xffff;

/** Whether a rule says nothing at all: setting it takes the ACL away. */
export function isEmptyRule(rule: AclRule): boolean {
  const { owner, group, mask, other, users, groups } = rule;
  return users.length + groups.length === 0 && (owner & group & mask & other) === ACL_UNSET;
}

/** Whether a rule says no more than permission bits can. */
export function isMinimalRule({ mask, users, groups }: AclRule): boolean {
  return mask === ACL_NO_MASK && users.length + groups.length === 0;
}

/** The rule with its unset owner, group and other taken from a mode. */
export function withModeDefaults(rule: AclRule, mode: number): AclRule {
  return {
    ...rule,
    owner: rule.owner === ACL_UNSET ? (mode >> 6) & 7 : rule.owner,
    group: rule.group === ACL_UNSET ? (mode >> 3) & 7 : rule.group,
    other: rule.other === ACL_UNSET ? mode & 7 : rule.other,
  };
}

/** The rule after chmod(2): the group bits go to the mask when there is more than the mode. */
export function withMode(rule: AclRule, mode: number): AclRule {
  const [owner, middle, other] = [(mode >> 6) & 7, (mode >> 3) & 7, mode & 7];
  return isMinimalRule(rule)
    ? { ...rule, owner, group: middle, other }
    : { ...rule, owner, mask: middle, other };
}

/** What a child made with `mode` gets from its directory's default rule. */
export function childRule(rule: AclRule, mode: number): AclRule {
  return {
    ...rule,
    owner: (mode >> 6) & 7 & rule.owner,
    mask: (mode >> 3) & 7 & rule.mask,
    other: mode & 7 & rule.other,
  };
}

/** Whether two rules are the same, names in the same order. */
export function sameRule(a: AclRule, b: AclRule): boolean {
  return (
    a.owner === b.owner &&
    a.group === b.group &&
    a.mask === b.mask &&
    a.other === b.other &&
    sameNames(a.users, b.users) &&
    sameNames(a.groups, b.groups)
  );
}

function sameNames(a: AclRule['users'], b: AclRule['users']): boolean {
  return (
    a.length === b.length &&
    a.every(({ id, perm }, index) => b[index]?.id === id && b[index].perm === perm)
  );
}
