import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import type { NodeId } from '../block/node-id.ts';
import type { Clock } from '../runtime/clock.ts';
import { abortReason } from '../runtime/deadline.ts';
import { PeerError } from './block-exchange.ts';
import { hangUp } from './hang-up.ts';
import { MemberProof, ProofError, type ProofOptions } from './member-proof.ts';
import type { BulkTls } from './bulk-tls.ts';
import type { Endpoint, Network } from './network.ts';

/** A connection whose other side has proved that it belongs to the group. */
export interface ProvedSocket {
  readonly socket: Duplex;
  readonly peer: NodeId;
  /** What both speak from here on. */
  readonly version: number;
  /**
   * All bytes that arrive go to `onData` from now on; the view is valid during the call.
   *
   * @param room - where they may be put. @see Network.connect
   */
  listen(onData: OnData, room?: Room): void;
}

type OnData = (chunk: Uint8Array) => void;
type Room = () => Uint8Array | undefined;

/** Who takes what arrives. */
interface Listener {
  onData: OnData;
  room?: Room | undefined;
}

/** What may arrive between the proof and the call of `listen`: the first request, or an error. */
const EARLY_BYTES_MAX = 256 * 1024;

/**
 * Connects to a member and lets it prove itself. Our own proof has been sent when this resolves, so
 * a request may follow at once.
 *
 * @param options - where to connect, whom we expect there, what to prove, and how to encrypt; the
 *   proof is bound to the encrypted connection
 * @throws ProofError; PeerError `unreachable` when it hangs up; the network's error; the signal's
 *   reason when aborted: give it a deadline
 */
export async function dialMember(
  options: {
    network: Network;
    clock: Clock;
    at: Endpoint;
    to: NodeId;
    proof: ProofOptions;
    tls?: BulkTls | undefined;
  },
  signal: AbortSignal,
): Promise<ProvedSocket> {
  const { network, clock, at, to, tls } = options;
  const listener: Listener = { onData: nothing };
  const { socket, channel = options.proof.channel } = await network.connect(at, {
    ...{ signal, tls },
    onData: (chunk) => listener.onData(chunk),
    room: () => listener.room?.(),
  });
  assert(tls === undefined || channel.byteLength > 0, 'an encrypted connection has a channel');
  const { proof, send } = MemberProof.connect({ ...options.proof, channel }, to);
  const talk = new ProofTalk({ socket, clock, listener, proof });
  socket.resume();
  socket.write(send);
  return await talk.run(signal);
}

/**
 * Lets whoever connected prove that it belongs to the group.
 *
 * @throws as {@link dialMember}; the socket is then closed
 */
export async function acceptMember(
  options: { socket: Duplex; clock: Clock; proof: ProofOptions },
  signal: AbortSignal,
): Promise<ProvedSocket> {
  const { socket, clock } = options;
  const listener: Listener = { onData: nothing };
  const talk = new ProofTalk({ socket, clock, listener, proof: MemberProof.accept(options.proof) });
  socket.on('data', (chunk: Uint8Array) => listener.onData(chunk));
  return await talk.run(signal);
}

/** One proof on one socket. */
class ProofTalk {
  readonly #socket: Duplex;
  readonly #clock: Clock;
  readonly #listener: Listener;
  readonly #proof: MemberProof;
  readonly #done = Promise.withResolvers<ProvedSocket>();

  constructor(options: {
    socket: Duplex;
    clock: Clock;
    listener: Listener;
    proof: MemberProof;
  }) {
    this.#socket = options.socket;
    this.#clock = options.clock;
    this.#listener = options.listener;
    this.#proof = options.proof;
    this.#listener.onData = (chunk) => this.#onData(chunk);
  }

  async run(signal: AbortSignal): Promise<ProvedSocket> {
    const socket = this.#socket;
    const onAbort = () => this.#fail(abortReason(signal));
    let cause: Error | undefined;
    const onClose = () => this.#fail(hungUp(cause));
    // Stays: an error between now and the next owner's listener must not end the process.
    socket.on('error', (error) => {
      cause = error;
    });
    socket.on('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    if (socket.destroyed) onClose();
    try {
      return await this.#done.promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      socket.off('close', onClose);
    }
  }

  #onData(chunk: Uint8Array): void {
    try {
      const { send, proved } = this.#proof.push(chunk);
      if (send !== undefined) this.#socket.write(send);
      if (proved === undefined) return;
      const { peer, version, rest } = proved;
      const listen = holdBack(this.#socket, this.#listener, rest);
      this.#done.resolve({ socket: this.#socket, peer, version, listen });
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#listener.onData = () => undefined;
    hangUp(this.#socket, this.#clock, error instanceof ProofError ? error.lastWords : undefined);
    this.#done.reject(error);
  }
}

/** Before there is somebody to take bytes, none can have arrived. */
function nothing(): void {}

/** Keeps what arrives until somebody listens. */
function holdBack(socket: Duplex, listener: Listener, rest: Uint8Array) {
  let early = [rest];
  let earlyBytes = rest.byteLength;
  listener.onData = (chunk) => {
    earlyBytes += chunk.byteLength;
    if (earlyBytes > EARLY_BYTES_MAX) socket.destroy();
    else early.push(chunk.slice());
  };
  return (onData: OnData, room?: Room) => {
    listener.onData = onData;
    for (const chunk of early.filter(({ byteLength }) => byteLength > 0)) onData(chunk);
    early = [];
    listener.room = room;
  };
}

function hungUp(cause: Error | undefined): PeerError {
  const text = 'the other side hung up before it proved who it is';
  return new PeerError('unreachable', text, { retryable: true, cause });
}
