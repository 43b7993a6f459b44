/** Ciphers of volumes; the setting tells which, the objects do not. */
export type EncryptAlgo = 'aes256gcm-rsa' | 'chacha20-rsa';

/*
 * An encrypted object: 2 bytes length W of the wrapped key, 1 byte length N of the nonce, the wrapped
 * key, the nonce, then ciphertext and its tag. Lengths are big-endian.
 */

/** Bytes in front of the wrapped key. */
export const CIPHER_HEADER_BYTES = 3;
/** Both ciphers have nonces of this length. */
export const NONCE_BYTES = 12;
/** Both ciphers have tags of this length. */
export const TAG_BYTES = 16;
/** Both ciphers have keys of this length. */
export const KEY_BYTES = 32;
/** So much ChaCha20 runs in one turn of the loop: about half a millisecond. */
export const CIPHER_SLICE_BYTES = 1024 * 1024;

/** Lets everything else that waits for this thread run first. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
