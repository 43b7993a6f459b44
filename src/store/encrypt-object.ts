import { createCipheriv } from 'node:crypto';
import type { Random } from '../runtime/random.ts';
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

/** Bytes of an array buffer of their own, as Web Crypto wants them. */
type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Encrypts a whole object, with a data key and a nonce of its own, into what `decryptObject` and
 * stock clients read.
 *
 * @param random - must be fit for keys
 */
export async function encryptObject(
  plain: Uint8Array,
  dataKey: DataKey,
  algo: EncryptAlgo,
  random: Random,
): Promise<Uint8Array> {
  const key = new Uint8Array(random.bytes(KEY_BYTES));
  const nonce = new Uint8Array(random.bytes(NONCE_BYTES));
  const wrapped = await dataKey.wrap(key);
  const sealedAt = CIPHER_HEADER_BYTES + wrapped.byteLength + NONCE_BYTES;
  const object = new Uint8Array(sealedAt + plain.byteLength + TAG_BYTES);
  new DataView(object.buffer).setUint16(0, wrapped.byteLength);
  object[2] = NONCE_BYTES;
  object.set(wrapped, CIPHER_HEADER_BYTES);
  object.set(nonce, sealedAt - NONCE_BYTES);
  const sealed = object.subarray(sealedAt);
  if (algo === 'aes256gcm-rsa') sealed.set(await sealAesGcm(key, nonce, plain));
  else await sealChaCha20(key, nonce, { plain, sealed });
  return object;
}

async function sealAesGcm(key: Bytes, nonce: Bytes, plain: Uint8Array): Promise<Uint8Array> {
  const imported = await subtle.importKey('raw', key, 'AES-GCM', false, ['encrypt']);
  const algorithm = { name: 'AES-GCM', iv: nonce };
  return new Uint8Array(await subtle.encrypt(algorithm, imported, plain as Bytes));
}

/** Web Crypto has this cipher only as an experiment, so it runs here, a slice per turn of the loop. */
async function sealChaCha20(
  key: Bytes,
  nonce: Bytes,
  { plain, sealed }: { plain: Uint8Array; sealed: Uint8Array },
): Promise<void> {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
  const end = plain.byteLength;
  for (let at = 0; at < end; at += CIPHER_SLICE_BYTES) {
    if (at > 0) await nextTurn();
    sealed.set(cipher.update(plain.subarray(at, Math.min(end, at + CIPHER_SLICE_BYTES))), at);
  }
  cipher.final();
  sealed.set(cipher.getAuthTag(), end);
}
