import type { DirQuota } from '../meta/engine.ts';
import type { Usage } from '../meta/write/meta-tx.ts';

/** A quota as it is shown. */
export interface QuotaLine {
  /** Whose it is, for people. */
  readonly name: string;
  /** The same for programs. */
  readonly key: Readonly<Record<string, string | number>>;
  readonly quota: DirQuota;
  /** Of a check: what there is in truth. */
  readonly actual?: Usage;
}

/** 0 is no limit; undefined leaves it as it is. */
export interface NewLimits {
  readonly maxBytes: bigint | undefined;
  readonly maxInodes: bigint | undefined;
}

/** The quotas of directories, or of users and groups: all of them, or the one that was named. */
export interface QuotaBook {
  /** Those that limit something. */
  list(): Promise<QuotaLine[]>;
  /** @throws UsageError when there is none, as the others do */
  get(): Promise<QuotaLine>;
  set(limits: NewLimits): Promise<QuotaLine>;
  /** @returns what it was */
  remove(): Promise<QuotaLine>;
  check(isRepaired: boolean): Promise<QuotaLine[]>;
}

/** Whether a check has found something else than what is stored. */
export function isWrong({ quota, actual }: QuotaLine): boolean {
  if (actual === undefined) return false;
  return quota.usedBytes !== actual.space || quota.usedInodes !== actual.inodes;
}
