import { hkdfSync } from 'node:crypto';
import {
  type ConnectionOptions,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
  type TLSSocketOptions,
} from 'node:tls';
import { PeerError } from './block-exchange.ts';
import type { GroupKey } from './group-key.ts';

const PURPOSE = 'cachemesh bulk tls v1';
/** Not secret: it only tells keys apart. */
const IDENTITY = 'cachemesh';
/** Suites with SHA-256, the hash of an external key (RFC 8446, 4.2.11); the second is for processors without AES. */
const SUITES = 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256';
const KEY_BYTES = 32;
const CHANNEL_BYTES = 32;
/** Labels of private use begin so (RFC 5705, 4). */
const CHANNEL_LABEL = 'EXPORTER-cachemesh-member';
/** A TLS record that belongs to a handshake begins with this byte (RFC 8446, 5.1); no proof does. */
const HANDSHAKE_RECORD = 0x16;

/**
 * How bulk connections are encrypted: TLS 1.3 with a key made of the group's (external PSK with
 * ECDHE, so that a secret that leaks later opens no recording). There are no certificates: who does
 * not know the secret gets no further than the handshake.
 */
export class BulkTls {
  readonly #key: Uint8Array;
  readonly #context: SecureContext;

  constructor(groupKey: GroupKey) {
    this.#key = new Uint8Array(hkdfSync('sha256', groupKey, '', PURPOSE, KEY_BYTES));
    this.#context = createSecureContext({
      ...{ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', ciphers: SUITES },
      // No authority: a certificate in place of the key is never right.
      ca: [],
    });
  }

  /** For the side that connects. */
  clientOptions(): ConnectionOptions {
    return {
      secureContext: this.#context,
      pskCallback: () => ({ psk: this.#key, identity: IDENTITY }),
      // A key proves no name; who it is follows by the proof of membership.
      checkServerIdentity: () => undefined,
    };
  }

  /** For the side that was connected to. */
  serverOptions(): TLSSocketOptions {
    return {
      isServer: true,
      secureContext: this.#context,
      // The types know this for servers only; it is an option of their sockets.
      ...{ pskCallback: (_: TLSSocket, name: string) => (name === IDENTITY ? this.#key : null) },
    };
  }
}

/**
 * Keying material that only the two ends of this session have (RFC 5705): proofs that are bound to
 * it cannot be passed on by somebody who sits between two sessions.
 */
export function channelOf(socket: TLSSocket): Uint8Array {
  return socket.exportKeyingMaterial(CHANNEL_BYTES, CHANNEL_LABEL, Buffer.alloc(0));
}

/** Whether the first bytes of a connection are those of TLS. */
export function beginsTls(bytes: Uint8Array): boolean {
  return bytes[0] === HANDSHAKE_RECORD;
}

/**
 * What an error of a connection means: a failed handshake says that the other side has another key,
 * or none.
 *
 * @returns PeerError (`forbidden`) for what TLS says, else the error itself
 */
export function fromTlsError(error: Error): Error {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (!code.startsWith('ERR_SSL_') && !code.startsWith('ERR_TLS_')) return error;
  const text = `the other side does not know this group's secret, or another one (${code})`;
  return new PeerError('forbidden', text, { cause: error });
}
