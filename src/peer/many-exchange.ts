import assert from 'node:assert/strict';
import { blockIdOf } from '../block/block-key.ts';
import { PieceChecker } from '../block/piece-sums.ts';
import { type AskMode, PeerError, type WantedBlock } from './block-exchange.ts';
import { type BlockReply, errorOf, MANY_BLOCKS_MAX, MANY_BYTES_MAX } from './block-message.ts';
import type { Exchange } from './bulk-connection.ts';
import type { WireRecord } from './checked-msgpack.ts';

/** Cuts a list into parts that fit into one message each; no block is larger than a message's limit. */
export function batchesOf(wanted: readonly WantedBlock[]): WantedBlock[][] {
  const batches: WantedBlock[][] = [];
  let batch: WantedBlock[] = [];
  let batchBytes = 0;
  for (const each of wanted) {
    assert(each.into.byteLength === each.key.sizeBytes, 'the buffer is not as long as the block');
    const isFull = batch.length === MANY_BLOCKS_MAX;
    if (isFull || batchBytes + each.key.sizeBytes > MANY_BYTES_MAX) {
      batch = [];
      batchBytes = 0;
    }
    if (batch.length === 0) batches.push(batch);
    batch.push(each);
    batchBytes += each.key.sizeBytes;
  }
  return batches;
}

/** Gets several whole blocks in one request; they come in any order, each in one frame. */
export class ManyExchange implements Exchange {
  readonly request: WireRecord;
  readonly #wanted: readonly WantedBlock[];
  /** Numbers of those without an answer yet. */
  readonly #open: Set<number>;
  #arriving: WantedBlock | undefined;
  #checker: PieceChecker | undefined;
  readonly #onWorking: (() => void) | undefined;

  /** @param wanted - within the limits of one message; `into` has room for exactly the block */
  constructor(wanted: readonly WantedBlock[], mode: AskMode, onWorking?: () => void) {
    const request = { type: 'many', ids: wanted.map(({ key }) => blockIdOf(key)) };
    this.request = mode === 'any' ? request : { ...request, mode };
    this.#wanted = wanted;
    this.#onWorking = onWorking;
    this.#open = new Set(wanted.keys());
  }

  roomFor(reply: BlockReply, payloadBytes: number): Uint8Array {
    if (reply.type !== 'data') throw protocolError(`a ${reply.type} with a payload`);
    const wanted = this.#take(reply.place);
    const isWhole = reply.offset === 0 && payloadBytes === wanted.key.sizeBytes;
    if (!isWhole || reply.sums === undefined) throw protocolError('a part of a block');
    this.#checker = new PieceChecker(reply.sums, payloadBytes);
    this.#arriving = wanted;
    return wanted.into;
  }

  onPayload(bytes: Uint8Array): void {
    if (this.#checker?.update(bytes) === true) return;
    throw new PeerError('corrupt', 'bytes of the peer do not match their checksum');
  }

  onReply(reply: BlockReply): boolean {
    if (reply.type === 'working') {
      this.#onWorking?.();
      return false;
    }
    if (reply.type === 'data') this.#landed();
    else if (reply.type === 'miss') this.#take(reply.place).onDone(errorOf(reply.error));
    else if (reply.type !== 'end') throw protocolError(`a ${reply.type} for many blocks`);
    const isEnd = reply.type === 'end' || (reply.type === 'data' && reply.last);
    if (isEnd && this.#open.size > 0) throw protocolError('an end before the last block');
    return isEnd;
  }

  #landed(): void {
    const landed = this.#arriving;
    if (landed === undefined) throw protocolError('data without bytes');
    this.#arriving = undefined;
    landed.onDone(undefined);
  }

  #take(place: number): WantedBlock {
    const wanted = this.#wanted[place];
    if (wanted === undefined || !this.#open.delete(place)) {
      throw protocolError(`block ${place}, which it was not asked for or has sent`);
    }
    return wanted;
  }
}

function protocolError(what: string): PeerError {
  return new PeerError('protocol', `the peer sent ${what}`);
}
