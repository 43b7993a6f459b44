import { createPrivateKey, createPublicKey, type KeyObject, type webcrypto } from 'node:crypto';
import { StoreError } from './object-store.ts';

const { subtle } = globalThis.crypto;
/** @see RFC 8017, section 7.1; JuiceFS wraps data keys with this label. */
const OAEP = { name: 'RSA-OAEP', label: new TextEncoder().encode('keys') };

/** A volume's key pair: it wraps and opens the data keys that each encrypted object brings along. */
export class DataKey {
  readonly #key: webcrypto.CryptoKey;
  readonly #publicKey: webcrypto.CryptoKey;
  /** Bytes of a wrapped data key: the modulus size. */
  readonly wrappedBytes: number;

  /** @param key - an RSA private key */
  constructor(key: KeyObject) {
    const algorithm = { name: OAEP.name, hash: 'SHA-256' };
    this.#key = key.toCryptoKey(algorithm, false, ['decrypt']);
    this.#publicKey = createPublicKey(key).toCryptoKey(algorithm, false, ['encrypt']);
    this.wrappedBytes = Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8);
  }

  /**
   * Opens a wrapped data key, off the main thread.
   *
   * @throws Error when it was wrapped for another key, or is damaged
   */
  async unwrap(wrapped: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await subtle.decrypt(OAEP, this.#key, wrapped));
  }

  /** Wraps a data key so that {@link unwrap}, and nobody without the private key, opens it. */
  async wrap(dataKey: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await subtle.encrypt(OAEP, this.#publicKey, dataKey));
  }
}

/**
 * Loads the private key of an encrypted volume: PKCS#8 or PKCS#1, plain, encrypted, or with the
 * traditional `Proc-Type: 4,ENCRYPTED` header.
 *
 * @param pem - as the volume's setting has it
 * @param passphrase - `JFS_RSA_PASSPHRASE`; not used for a plain key
 * @throws StoreError (`bad-config`) when the passphrase is missing or wrong, or it is no RSA key
 */
export function loadDataKey(pem: string, passphrase: string | undefined): DataKey {
  if (!passphrase && /^-----BEGIN ENCRYPTED|^Proc-Type:.*ENCRYPTED/m.test(pem)) {
    const message = "the volume's private key needs a passphrase: set JFS_RSA_PASSPHRASE";
    throw new StoreError('bad-config', message);
  }
  const key = parse(pem, passphrase);
  if (key.asymmetricKeyType !== 'rsa') {
    const message = `the volume's private key is of type ${key.asymmetricKeyType}, only RSA is supported`;
    throw new StoreError('bad-config', message);
  }
  return new DataKey(key);
}

function parse(pem: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey(passphrase ? { key: pem, passphrase } : { key: pem });
  } catch (error) {
    const isWrong =
      error instanceof Error && 'code' in error && error.code === 'ERR_OSSL_BAD_DECRYPT';
    const why = isWrong ? 'wrong passphrase (JFS_RSA_PASSPHRASE)' : String(error);
    const message = `cannot load the volume's private key: ${why}`;
    throw new StoreError('bad-config', message, { cause: error });
  }
}
