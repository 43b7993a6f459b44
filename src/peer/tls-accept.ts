import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../runtime/clock.ts';
import { abortReason } from '../runtime/deadline.ts';
import { PeerError } from './block-exchange.ts';
import { beginsTls, type BulkTls, channelOf, fromTlsError } from './bulk-tls.ts';
import { hangUp } from './hang-up.ts';
import { encodeProofMessage, proofMessageBytes } from './proof-message.ts';
import type { VersionRange } from './protocol-version.ts';

/** A connection that is encrypted from here on. */
export interface SecuredSocket {
  readonly socket: Duplex;
  /** @see channelOf */
  readonly channel: Uint8Array;
}

/**
 * Encrypts a connection that was taken. A member that does not encrypt is told so.
 *
 * @param options - `versions`: what we speak, for the refusal
 * @throws PeerError (`encryption`: the other side does not; `forbidden`: it has another key;
 *   `protocol`, `unreachable`); the signal's reason when aborted: give it a deadline. The socket is
 *   then closed
 */
export async function acceptTls(
  options: { socket: Duplex; tls: BulkTls; clock: Clock; versions: VersionRange },
  signal: AbortSignal,
): Promise<SecuredSocket> {
  const { socket, tls } = options;
  const first = await firstBytes(socket, signal);
  if (!beginsTls(first)) throw refusePlain(first, options);
  socket.unshift(first);
  const secured = new TLSSocket(socket, tls.serverOptions());
  // Errors behind the handshake are events of this name only, for a socket without a server.
  secured.on('_tlsError', (error: Error) => secured.destroy(error));
  await settled(secured, signal, (done) => secured.once('secure', done));
  return { socket: secured, channel: channelOf(secured) };
}

function refusePlain(
  first: Uint8Array,
  { socket, clock, versions }: { socket: Duplex; clock: Clock; versions: VersionRange },
): PeerError {
  try {
    proofMessageBytes(first);
  } catch (error) {
    socket.destroy();
    if (error instanceof PeerError) return error;
    throw error;
  }
  const words = encodeProofMessage({ kind: 'refusal', reason: 'encryption', versions });
  hangUp(socket, clock, words);
  return new PeerError('encryption', 'the peer does not encrypt, this node does (--encrypt)');
}

async function firstBytes(socket: Duplex, signal: AbortSignal): Promise<Uint8Array> {
  let first: Uint8Array | null = null;
  await settled(socket, signal, (done) => {
    const onReadable = () => {
      first = socket.read() as Uint8Array | null;
      if (first === null) return;
      socket.off('readable', onReadable);
      done();
    };
    socket.on('readable', onReadable);
  });
  return first ?? new Uint8Array(0);
}

/** Waits until `begin` calls back; a socket that ends first is destroyed, and so is an aborted one. */
async function settled(
  socket: Duplex,
  signal: AbortSignal,
  begin: (done: () => void) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = () => reject(abortReason(signal));
  const onError = (error: Error) => reject(fromTlsError(error));
  const onClose = () => reject(hungUp());
  // The first one stays: an error that comes late must not end the process.
  socket.on('error', onError).once('end', onClose).once('close', onClose);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) onAbort();
    else if (socket.destroyed) onClose();
    else begin(resolve);
    await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    socket.off('end', onClose).off('close', onClose);
  }
}

function hungUp(): PeerError {
  const text = 'the other side hung up before it was encrypted';
  return new PeerError('unreachable', text, { retryable: true });
}
