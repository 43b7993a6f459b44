/** On whose behalf an operation runs. */
export interface Caller {
  readonly uid: number;
  /** The primary group. */
  readonly gid: number;
  /** All groups, the primary one among them. */
  readonly gids: readonly number[];
  /** Whether permissions are checked here; false when the kernel does (`default_permissions`). */
  readonly checkPerm: boolean;
}

/** The superuser, whom nothing is checked for: background work, and tests. */
export const ROOT_CALLER: Caller = { uid: 0, gid: 0, gids: [0], checkPerm: false };
