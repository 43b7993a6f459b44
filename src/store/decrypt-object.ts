import { createDecipheriv } from 'node:crypto';
import type { DataKey } from './data-key.ts';

const { subtle } = globalThis.crypto;

/** Ciphers of volumes; the setting tells which, the objects do not. */
export type EncryptAlgo = 'aes256gcm-rsa' | 'chacha20-rsa';

const HEADER_BYTES = 3;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
/** About half a millisecond of ChaCha20. */
const SLICE_BYTES = 1024 * 1024;

/** By how much encryption makes an object longer. */
export function encryptionOverheadBytes(dataKey: DataKey): number {
  return HEADER_BYTES + dataKey.wrappedBytes + NONCE_BYTES + TAG_BYTES;
}

/**
 * Decrypts a whole object: 2 bytes length W of the wrapped key, 1 byte length N of the nonce, the
 * wrapped key, the nonce, then ciphertext and its 16-byte tag.
 *
 * @throws Error when it does not decrypt
 */
export async function decryptObject(
  object: Uint8Array<ArrayBuffer>,
  dataKey: DataKey,
  algo: EncryptAlgo,
): Promise<Uint8Array> {
  const [high = 0, low = 0, nonceBytes = 0] = object;
  const nonceAt = HEADER_BYTES + high * 256 + low;
  const sealedAt = nonceAt + nonceBytes;
  if (nonceBytes !== NONCE_BYTES || object.byteLength < sealedAt + TAG_BYTES) {
    throw new Error(`malformed encryption header in ${object.byteLength} bytes`);
  }
  const key = await dataKey.unwrap(object.subarray(HEADER_BYTES, nonceAt));
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
  for (let at = 0; at < end; at += SLICE_BYTES) {
    if (at > 0) await nextTurn();
    plain.set(cipher.update(sealed.subarray(at, Math.min(end, at + SLICE_BYTES))), at);
  }
  cipher.final();
  return plain;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
