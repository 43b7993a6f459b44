import { type DirQuota, MetaError } from '../engine.ts';
import type { LockHolder, OwnerKind } from '../write/meta-tx.ts';
import type { RedisKeys } from './redis-keys.ts';

const INTEGER = /^-?[0-9]{1,20}$/;
const HOLDER = /^([0-9]{1,20})_([0-9A-F]{16})$/;
const QUOTA_BYTES = 16;

/** A number that is stored as text. @throws MetaError `corrupt` */
export function toInteger(text: string, key: string): bigint {
  if (!INTEGER.test(text)) throw new MetaError('corrupt', `${key}: a number is malformed`);
  return BigInt(text);
}

/** The limits of a quota: bytes i64, inodes i64, big-endian. @throws MetaError `corrupt` */
export function toQuota(limits: Buffer, usedBytes: bigint, usedInodes: bigint): DirQuota {
  if (limits.byteLength !== QUOTA_BYTES) throw new MetaError('corrupt', 'the limits of a quota');
  return {
    maxBytes: limits.readBigInt64BE(0),
    maxInodes: limits.readBigInt64BE(8),
    usedBytes,
    usedInodes,
  };
}

/** The limits of a quota as {@link toQuota} reads them. */
export function fromLimits({ maxBytes, maxInodes }: Pick<DirQuota, 'maxBytes' | 'maxInodes'>) {
  const limits = Buffer.alloc(QUOTA_BYTES);
  limits.writeBigInt64BE(maxBytes, 0);
  limits.writeBigInt64BE(maxInodes, 8);
  return limits;
}

/** Limits of somebody who has none. */
export const NO_LIMITS: Buffer = Buffer.alloc(QUOTA_BYTES, 0xff);

/** The hashes of a kind's quotas: limits, used space, used inodes. */
export function ownerQuotaKeys(keys: RedisKeys, kind: OwnerKind): [string, string, string] {
  return kind === 'user'
    ? [keys.userQuota, keys.userQuotaUsedSpace, keys.userQuotaUsedInodes]
    : [keys.groupQuota, keys.groupQuotaUsedSpace, keys.groupQuotaUsedInodes];
}

/** The field of a lock's holder: session, and owner as 16 hexadecimal digits. */
export function holderField({ sid, owner }: LockHolder): string {
  return `${sid}_${BigInt.asUintN(64, owner).toString(16).toUpperCase().padStart(16, '0')}`;
}

/** The inverse of {@link holderField}. @throws MetaError `corrupt` */
export function parseHolder(field: string, key: string): LockHolder {
  const [, sid, owner] = HOLDER.exec(field) ?? [];
  if (sid === undefined || owner === undefined) {
    throw new MetaError('corrupt', `${key}: a lock of ${field}`);
  }
  return { sid: BigInt(sid), owner: BigInt(`0x${owner}`) };
}
