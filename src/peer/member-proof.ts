import assert from 'node:assert/strict';
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { NodeId } from '../block/node-id.ts';
import type { Random } from '../runtime/random.ts';
import { PeerError } from './block-exchange.ts';
import { beginsTls } from './bulk-tls.ts';
import type { GroupKey } from './group-key.ts';
import {
  decodeProofMessage,
  encodeProofMessage,
  NONCE_BYTES,
  type ProofHello,
  type ProofMessage,
  proofMessageBytes,
  PROOF_BYTES,
  type RefusalReason,
} from './proof-message.ts';
import { highestCommon, printRange, type VersionRange } from './protocol-version.ts';

/** What both sides must agree on, and what one of them brings. */
export interface ProofOptions {
  readonly key: GroupKey;
  readonly self: NodeId;
  /** What we speak. */
  readonly versions: VersionRange;
  /** What the connection is for, and whose: differs, and the proof fails. Not secret. */
  readonly context: string;
  /**
   * What only the two ends of this connection have in common (keying material exported from TLS),
   * so that nobody can sit between them; empty when the connection is not encrypted.
   */
  readonly channel: Uint8Array;
  readonly random: Random;
}

/** The other side has proved that it knows the key, and has seen our proof (or is about to). */
export interface ProvedPeer {
  readonly peer: NodeId;
  /** The highest version that both speak. */
  readonly version: number;
  /** What came behind the proof: a copy of the first bytes of the conversation. */
  readonly rest: Uint8Array;
}

/** What to do after some bytes came: send something, or believe the peer, or both, or wait. */
export interface ProofStep {
  readonly send?: Uint8Array;
  readonly proved?: ProvedPeer;
}

/** The proof failed; `lastWords` tells the other side why and is to be sent before hanging up. */
export class ProofError extends PeerError {
  readonly lastWords: Uint8Array | undefined;

  constructor(
    code: 'protocol' | 'forbidden' | 'encryption' | 'busy',
    message: string,
    lastWords?: Uint8Array,
  ) {
    super(code, message, { retryable: code === 'busy' });
    this.lastWords = lastWords;
  }
}

const NOTHING = new Uint8Array(0);

/**
 * Proves the group's key in both directions on one connection, bytes in and bytes out: it works on
 * any stream of bytes, in any thread. Three messages, so the first request leaves after one round
 * trip:
 *
 *     → hello   versions, both node ids, nonce
 *     ← answer  version, nonce, HMAC(key, "answer", T)
 *     → proof   HMAC(key, "proof", T), and the first request right behind it
 *
 * T is the SHA-256 of everything said so far, the context and the channel. Fresh nonces of both
 * sides make an old proof worthless; the two labels, and that nobody talks to itself, one thrown
 * back at us; the ids and the channel, one passed on to another node or through a third. The range
 * of versions is part of T: who lowers it on the way breaks the proof.
 *
 * Neither side believes anything before the other's proof, and who connects asks nothing before.
 */
export class MemberProof {
  readonly #options: ProofOptions;
  #hello: ProofHello | undefined;
  #transcript: Uint8Array = NOTHING;
  #version = 0;
  #received: Uint8Array = NOTHING;
  #expected: 'hello' | 'answer' | 'proof';

  private constructor(options: ProofOptions, expected: 'hello' | 'answer') {
    this.#options = options;
    this.#expected = expected;
  }

  /** The side that connects. @returns it, and what to send first */
  static connect(options: ProofOptions, to: NodeId): { proof: MemberProof; send: Uint8Array } {
    const { self, versions, random } = options;
    const proof = new MemberProof(options, 'answer');
    proof.#hello = { versions, from: self, to, nonce: random.bytes(NONCE_BYTES) };
    return { proof, send: encodeProofMessage({ kind: 'hello', ...proof.#hello }) };
  }

  /** The side that was connected to; it says nothing first. */
  static accept(options: ProofOptions): MemberProof {
    return new MemberProof(options, 'hello');
  }

  /**
   * Takes the next bytes that the other side sent; the view may be reused after the call. Must not
   * be called again once it has proved the peer or thrown.
   *
   * @throws ProofError (`forbidden`: the key differs, or it is another node; `protocol`: no common
   *   version, or no messages of a proof; `busy`)
   */
  push(chunk: Uint8Array): ProofStep {
    this.#received = Buffer.concat([this.#received, chunk]);
    const lengthBytes = this.#messageBytes();
    if (lengthBytes === undefined || this.#received.byteLength < lengthBytes) return {};
    const bytes = this.#received.subarray(0, lengthBytes);
    this.#received = this.#received.subarray(lengthBytes);
    if (this.#expected !== 'proof' && this.#received.byteLength > 0) {
      throw new ProofError('protocol', 'the peer goes on before it was answered');
    }
    const message = this.#decode(bytes);
    if (message.kind === 'refusal') throw this.#refused(message);
    if (message.kind !== this.#expected) throw new ProofError('protocol', 'a proof out of order');
    if (message.kind === 'hello') return this.#onHello(message);
    if (message.kind === 'answer') return this.#onAnswer(message);
    return this.#onProof(message.proof);
  }

  #onHello(hello: ProofHello): ProofStep {
    const { self, versions, random } = this.#options;
    this.#hello = hello;
    const { from, to } = hello;
    if (to !== self || from === self) {
      throw this.#refuse('node', 'forbidden', `${from} looks for ${to}, this is ${self}`);
    }
    const version = highestCommon(versions, hello.versions);
    if (version === undefined) {
      const theirs = printRange(hello.versions);
      const text = `${from} speaks versions ${theirs}, this node ${printRange(versions)}`;
      throw this.#refuse('version', 'protocol', text);
    }
    const nonce = random.bytes(NONCE_BYTES);
    this.#agree(version, nonce);
    this.#expected = 'proof';
    const proof = this.#mac('answer');
    return { send: encodeProofMessage({ kind: 'answer', version, nonce, proof }) };
  }

  #onAnswer(answer: { version: number; nonce: Uint8Array; proof: Uint8Array }): ProofStep {
    const { versions } = this.#options;
    if (answer.version < versions.min || answer.version > versions.max) {
      throw new ProofError('protocol', `version ${answer.version} was not offered`);
    }
    this.#agree(answer.version, answer.nonce);
    if (!isSame(answer.proof, this.#mac('answer'))) {
      const text = `${this.#peer} does not know this group's secret, or another one`;
      throw this.#refuse('secret', 'forbidden', text);
    }
    const send = encodeProofMessage({ kind: 'proof', proof: this.#mac('proof') });
    return { send, proved: this.#proved() };
  }

  #onProof(proof: Uint8Array): ProofStep {
    if (isSame(proof, this.#mac('proof'))) return { proved: this.#proved() };
    const text = `${this.#peer} does not know this group's secret, or another one`;
    throw this.#refuse('secret', 'forbidden', text);
  }

  get #peer(): NodeId {
    assert(this.#hello !== undefined, 'the peer is known after the hello');
    return this.#hello.from === this.#options.self ? this.#hello.to : this.#hello.from;
  }

  #proved(): ProvedPeer {
    return { peer: this.#peer, version: this.#version, rest: this.#received };
  }

  #agree(version: number, nonce: Uint8Array): void {
    assert(this.#hello !== undefined, 'an answer follows a hello');
    this.#version = version;
    const said = [
      encodeProofMessage({ kind: 'hello', ...this.#hello }),
      encodeProofMessage({ kind: 'answer', version, nonce, proof: new Uint8Array(PROOF_BYTES) }),
      Buffer.from(this.#options.context),
      this.#options.channel,
    ];
    const hash = createHash('sha256');
    // With its length before it no part can pass for the beginning of the next.
    for (const part of said) {
      const length = new Uint8Array(4);
      new DataView(length.buffer).setUint32(0, part.byteLength);
      hash.update(length).update(part);
    }
    this.#transcript = hash.digest();
  }

  #mac(label: 'answer' | 'proof'): Uint8Array {
    const hmac = createHmac('sha256', this.#options.key);
    return hmac.update(`cachemesh member ${label}\n`).update(this.#transcript).digest();
  }

  #messageBytes(): number | undefined {
    if (this.#expected === 'hello' && beginsTls(this.#received)) {
      throw new ProofError('encryption', 'the peer encrypts, this node does not (--encrypt)');
    }
    try {
      return proofMessageBytes(this.#received);
    } catch (error) {
      throw asProofError(error);
    }
  }

  #decode(bytes: Uint8Array): ProofMessage {
    try {
      return decodeProofMessage(bytes);
    } catch (error) {
      throw asProofError(error);
    }
  }

  /** What the other side's refusal means here. */
  #refused({ reason, versions }: { reason: RefusalReason; versions: VersionRange }): ProofError {
    const who = this.#hello === undefined ? 'the peer' : this.#peer;
    switch (reason) {
      case 'version': {
        const ours = printRange(this.#options.versions);
        const text = `${who} speaks versions ${printRange(versions)}, this node ${ours}`;
        return new ProofError('protocol', text);
      }
      case 'node':
        return new ProofError('forbidden', `another node than ${who} answers`);
      case 'secret':
        return new ProofError('forbidden', `${who} says that its group's secret is another one`);
      case 'busy':
        return new ProofError('busy', `${who} takes no more connections`);
      case 'encryption':
        return new ProofError('encryption', `${who} takes encrypted connections only (--encrypt)`);
    }
  }

  #refuse(reason: RefusalReason, code: 'protocol' | 'forbidden', message: string): ProofError {
    const { versions } = this.#options;
    return new ProofError(code, message, encodeProofMessage({ kind: 'refusal', reason, versions }));
  }
}

function asProofError(error: unknown): unknown {
  if (!(error instanceof PeerError)) return error;
  return new ProofError('protocol', error.message);
}

/** In constant time, so that the delay of a refusal tells nothing about the right proof. */
function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.byteLength === other.byteLength && timingSafeEqual(one, other);
}
