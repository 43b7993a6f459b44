import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import type { Random } from '../runtime/random.ts';
import { MetaError } from './engine.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/** Stands in place of a secret that a dump has left out. */
export const REMOVED = 'removed';

/**
 * Opens a secret that is stored in a setting: base64 of nonce, AES-128-GCM cipher text and tag,
 * under the MD5 of the volume's UUID text. Public data makes the key, so this hides, not protects.
 *
 * @param field - names the setting's field in errors
 * @throws MetaError `bad-setting`
 */
export function decryptSecret(uuid: string, stored: string, field: string): string {
  if (stored === '') return '';
  if (stored === REMOVED) {
    const message = `setting: ${field} was removed from the volume, set it again with the config command`;
    throw new MetaError('bad-setting', message);
  }
  const sealed = Buffer.from(stored, 'base64');
  if (!BASE64.test(stored) || sealed.byteLength < NONCE_BYTES + TAG_BYTES) {
    throw new MetaError('bad-setting', `setting: ${field} is not an encrypted secret`);
  }
  const decipher = createDecipheriv('aes-128-gcm', keyOf(uuid), sealed.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    const plain = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
    return Buffer.concat([plain, decipher.final()]).toString('utf8');
  } catch (cause) {
    throw new MetaError('bad-setting', `setting: ${field} cannot be decrypted`, { cause });
  }
}

/**
 * Seals a secret so that {@link decryptSecret} opens it. In place of one that was removed stays that
 * it was.
 *
 * @param random - must be fit for keys
 */
export function encryptSecret(uuid: string, plain: string, random: Random): string {
  if (plain === '' || plain === REMOVED) return plain;
  const nonce = random.bytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-128-gcm', keyOf(uuid), nonce);
  const sealed = [cipher.update(plain, 'utf8'), cipher.final()];
  return Buffer.concat([nonce, ...sealed, cipher.getAuthTag()]).toString('base64');
}

function keyOf(uuid: string): Buffer {
  return createHash('md5').update(uuid).digest();
}
