/** What of a volume's setting decides how it is changed. Can be cloned between threads. */
export interface VolumeRules {
  /** 0: what is removed is gone. */
  readonly trashDays: number;
  /** 0 = unlimited. */
  readonly capacityBytes: bigint;
  /** 0 = unlimited. */
  readonly inodesMax: bigint;
  /** Whether statistics of directories are kept, which quotas of directories need. */
  readonly dirStats: boolean;
  /** Whether any directory has a quota: none is looked for otherwise. */
  readonly hasDirQuotas: boolean;
  /** Whether the usage of users and groups is kept. */
  readonly ownerQuotas: boolean;
  readonly enableAcl: boolean;
  /** A directory whose mtime is younger is not touched by one name more or less; 0: always. */
  readonly skipDirMtimeMs: number;
}
