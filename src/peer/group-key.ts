import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';

/** Length of the key; as long as the hash that it is used with. */
const KEY_BYTES = 32;
const PURPOSE = 'cachemesh group key v1';

/**
 * What all members of a group know and nobody else. A KeyObject shows its bytes in no log, and can
 * be sent to a worker thread.
 */
export type GroupKey = KeyObject;

/**
 * Makes the group's key from a secret (HKDF, RFC 5869, with SHA-256). The same secret and volume
 * give the same key on every node.
 *
 * @param secret - not empty; it should be hard to guess, because HKDF does not slow guesses down
 * @param volumeId - the volume's uuid: a secret used for two volumes gives two keys
 */
export function deriveGroupKey(secret: Uint8Array, volumeId: string): GroupKey {
  const key = hkdfSync('sha256', secret, volumeId.toLowerCase(), PURPOSE, KEY_BYTES);
  return createSecretKey(Buffer.from(key));
}
