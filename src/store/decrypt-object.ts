import { createDecipheriv } from 'node:crypto';
import type { DataKey } from './data-key.ts';
import {
  CIPHER_HEADER_BYTES,
  CIPHER_SLICE_BYTES,
  type EncryptAlgo,
  KEY_BYTES,
  nextTurn,
  NONCE_BYTES,
  TAG_BYTES,
} from './object-cipher.ts';

const { subtle } = globalThis.crypto;

/** By how much encryption makes an object longer. */
export function encryptionOverheadBytes(dataKey: DataKey): number {
  return CIPHER_HEADER_BYTES + dataKey.wrappedBytes + NONCE_BYTES + TAG_BYTES;
}

/**
 * Decrypts a whole object.
 *
 * @throws Error when it does not decrypt
 */
export async function decryptObject(
  object: Uint8Array<ArrayBuffer>,
  dataKey: DataKey,
  algo: EncryptAlgo,
): Promise<Uint8Array> {
  const [high = 0, low = 0, nonceBytes = 0] = object;
  const nonceAt = CIPHER_HEADER_BYTES + high * 256 + low;
  const sealedAt = nonceAt + nonceBytes;
  if (nonceBytes !== NONCE_BYTES || object.byteLength < sealedAt + TAG_BYTES) {
    throw new Error(`malformed encryption header in ${object.byteLength} bytes`);
  }
  const key = await dataKey.unwrap(object.subarray(CIPHER_HEADER_BYTES, nonceAt));
  if (key.byteLength !== KEY_BYTES) throw new Error(`data key of ${key.byteLength} bytes`);
  const nonce = object.subarray(nonceAt, sealedAt);
  const sealed = object.subarray(sealedAt);
  return algo === 'aes256gcm-rsa'
    ? openAesGcm(key, nonce, sealed)
    : openChaCha20(key, nonce, sealed);
}

async function openAesGcm(
  key: Uint8Array<ArrayBuffer>,
  nonce: Uint8Array<ArrayBuffer>,
  sealed: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array> {
  const imported = await subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt']);
  return new Uint8Array(await subtle.decrypt({ name: 'AES-GCM', iv: nonce }, imported, sealed));
}

/** Web Crypto has this cipher only as an experiment, so it runs here, a slice per turn of the loop. */
async function openChaCha20(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
): Promise<Uint8Array> {
  const cipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
  const end = sealed.byteLength - TAG_BYTES;
  cipher.setAuthTag(sealed.subarray(end));
  const plain = new Uint8Array(end);
  for (let at = 0; at < end; at += CIPHER_SLICE_BYTES) {
    if (at > 0) await nextTurn();
    plain.set(cipher.update(sealed.subarray(at, Math.min(end, at + CIPHER_SLICE_BYTES))), at);
  }
  cipher.final();
  return plain;
}
