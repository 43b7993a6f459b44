/** Permissions (rwx = 4/2/1) of one named user or group. */
export interface AclName {
  readonly id: number;
  readonly perm: number;
}

/** A POSIX access rule as JuiceFS stores it. */
export interface AclRule {
  readonly owner: number;
  readonly group: number;
  /** 0xFFFF when the rule has no mask. */
  readonly mask: number;
  readonly other: number;
  readonly users: readonly AclName[];
  readonly groups: readonly AclName[];
}
