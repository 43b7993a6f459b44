import { scanKeys } from './redis-key-scan.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';

/** Keys per UNLINK. */
const BATCH = 1000;
/** Keys of inodes, parts of files, sessions and slices. */
const NUMBERED = /^([idpsx]|lock[fp]|locked|session)[0-9]{1,20}$|^[ck][0-9]{1,20}_[0-9]{1,10}$/;
/** Keys of the whole volume, the setting apart. */
const NAMED = new Set([
  ...['allSessions', 'sessionInfos', 'sessions', 'delfiles', 'detachedNodes', 'sliceRef'],
  ...['delSlices', 'usedSpace', 'totalInodes', 'nextinode', 'nextchunk', 'nextsession'],
  ...['nextTrash', 'lastCleanupSessions', 'lastCleanupFiles', 'lastCleanupTrash'],
  ...['nextCleanupSlices', 'lastCleanupChangelog', 'dirDataLength', 'dirUsedSpace'],
  ...['dirUsedInodes', 'dirQuota', 'dirQuotaUsedSpace', 'dirQuotaUsedInodes'],
  ...['userQuota', 'userQuotaUsedSpace', 'userQuotaUsedInodes'],
  ...['groupQuota', 'groupQuotaUsedSpace', 'groupQuotaUsedInodes'],
  ...['acl', 'aclMaxId', 'txnLog', 'txnLastLog', 'krbToken', 'krbTokenMaxId'],
]);

/**
 * Removes all keys of a volume but its setting. What else is in the database stays.
 *
 * @throws MetaError; what is not removed yet is there, then
 */
export async function removeVolumeKeys(
  link: RedisLink,
  keys: RedisKeys,
  signal: AbortSignal,
): Promise<void> {
  const { prefix } = keys;
  for await (const names of scanKeys(link, `${prefix}*`, signal)) {
    const own = names.filter((name) => isOfVolume(name.slice(prefix.length)));
    for (let first = 0; first < own.length; first += BATCH) {
      const some = own.slice(first, first + BATCH);
      const name = { op: 'removeKeys', target: 'volume' };
      await link.run(name, signal, (client) => client.unlink(...some));
    }
  }
}

function isOfVolume(name: string): boolean {
  return NAMED.has(name) || NUMBERED.test(name);
}
