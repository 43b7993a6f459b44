import type { Connection, Stream } from '@libp2p/interface';
import { toNodeId } from '../block/node-id.ts';
import { abortable } from '../runtime/abortable.ts';
import type { Clock } from '../runtime/clock.ts';
import { withDeadline } from '../runtime/deadline.ts';
import { PeerError } from './block-exchange.ts';
import { MemberProof, ProofError, type ProofOptions, type ProvedPeer } from './member-proof.ts';
import { feed } from './receive-message.ts';

/** What the accepting side says when it has believed, so that questions come after the proof. */
const BELIEVED = Uint8Array.of(1);
/** As long as the other side waits for it. */
const PROOF_TIMEOUT_MS = 5_000;

/** Remembers on which control connections both sides have proved the group's secret. */
export class ConnectionProofs {
  readonly #optionsOf: () => ProofOptions;
  readonly #clock: Clock;
  readonly #proved = new WeakSet<Connection>();
  /** Proofs that we have begun. */
  readonly #begun = new WeakMap<Connection, Promise<void>>();

  /** @param optionsOf - what to prove */
  constructor(optionsOf: () => ProofOptions, clock: Clock) {
    this.#optionsOf = optionsOf;
    this.#clock = clock;
  }

  /** Whether the other side of a connection has proved itself. */
  has(connection: Connection): boolean {
    return this.#proved.has(connection);
  }

  /**
   * Proves both sides once per connection. The proof has a deadline of its own: others may wait for
   * it who have more patience than who came first.
   *
   * @param open - opens a stream for the proof
   * @throws ProofError; DeadlineError; PeerError `unreachable`; the signal's reason
   */
  async ensure(
    connection: Connection,
    signal: AbortSignal,
    open: (signal: AbortSignal) => Promise<Stream>,
  ): Promise<void> {
    if (this.has(connection)) return;
    let begun = this.#begun.get(connection);
    if (begun === undefined) {
      const options = { what: 'our proof of membership', timeoutMs: PROOF_TIMEOUT_MS };
      begun = withDeadline(this.#clock, options, (inner) => this.#prove(connection, inner, open));
      this.#begun.set(connection, begun);
      const ended = () => void this.#begun.delete(connection);
      begun.then(ended, ended);
    }
    await abortable(begun, signal);
  }

  /** Answers a proof that the other side has begun. @throws as {@link ensure} */
  async accept(stream: Stream, connection: Connection, signal: AbortSignal): Promise<void> {
    const proof = MemberProof.accept(this.#optionsOf());
    const proved = await talk(stream, proof, signal);
    const from = toNodeId(connection.remotePeer.toString());
    // libp2p has proved the identity of who connected; the hello only claims one.
    if (proved.peer !== from) throw new ProofError('forbidden', `${from} says it is another node`);
    this.#proved.add(connection);
    stream.send(BELIEVED);
  }

  async #prove(
    connection: Connection,
    signal: AbortSignal,
    open: (signal: AbortSignal) => Promise<Stream>,
  ): Promise<void> {
    const stream = await open(signal);
    try {
      const to = toNodeId(connection.remotePeer.toString());
      const { proof, send } = MemberProof.connect(this.#optionsOf(), to);
      stream.send(send);
      await talk(stream, proof, signal);
      let believed = false;
      await feed(stream, signal, () => {
        believed = true;
        return false;
      });
      if (!believed) throw new ProofError('forbidden', `${to} does not believe our proof`);
      this.#proved.add(connection);
    } finally {
      stream.abort(new Error('the proof is over'));
    }
  }
}

/** Goes through a proof on a stream; the last words of a failed one are sent. */
async function talk(stream: Stream, proof: MemberProof, signal: AbortSignal): Promise<ProvedPeer> {
  let proved: ProvedPeer | undefined;
  try {
    await feed(stream, signal, (chunk) => {
      const step = proof.push(chunk);
      if (step.send !== undefined) stream.send(step.send);
      proved = step.proved;
      return proved === undefined;
    });
  } catch (error) {
    if (error instanceof ProofError && error.lastWords !== undefined) stream.send(error.lastWords);
    throw error;
  }
  if (proved === undefined) {
    throw new PeerError('unreachable', 'the peer hung up during the proof', { retryable: true });
  }
  return proved;
}
