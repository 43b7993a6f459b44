import type { MetaTx, OwnerKind, Usage } from './meta-tx.ts';

/** A user or a group. */
export interface QuotaOwner {
  readonly kind: OwnerKind;
  /** uid or gid. */
  readonly id: number;
}

/** Arguments of {@link setOwnerQuota}. */
export interface SetOwnerQuota extends QuotaOwner {
  /** 0 is no limit; undefined leaves it as it is, which at first is none. */
  readonly maxBytes?: bigint | undefined;
  readonly maxInodes?: bigint | undefined;
  /** What is theirs; undefined leaves what is stored, which at first is nothing. */
  readonly used?: Usage | undefined;
}

/** How other clients store that there is no limit. */
export const NO_OWNER_LIMIT = -1n;
const NOTHING: Usage = { space: 0n, inodes: 0n };

/** Limits a user or a group, or stores what they use. */
export async function setOwnerQuota(tx: MetaTx, args: SetOwnerQuota): Promise<void> {
  const { kind, id, maxBytes, maxInodes, used } = args;
  const present = await tx.ownerQuota(kind, id);
  const limits = {
    maxBytes: maxBytes ?? present?.maxBytes ?? NO_OWNER_LIMIT,
    maxInodes: maxInodes ?? present?.maxInodes ?? NO_OWNER_LIMIT,
  };
  tx.putOwnerQuota(kind, id, limits, used ?? (present === undefined ? NOTHING : undefined));
}
