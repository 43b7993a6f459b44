import { crc32c } from '@node-rs/crc32';
import { type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import { PeerError } from './block-exchange.ts';
import type { BlockReply } from './block-message.ts';
import type { Exchange } from './bulk-connection.ts';
import type { WireRecord } from './checked-msgpack.ts';

/** Gets a range of a block: payload goes straight to where the caller wants it. */
export class FillExchange implements Exchange {
  readonly request: WireRecord;
  readonly #range: ByteRange;
  readonly #into: Uint8Array;
  readonly #onProgress: ((readyBytes: number) => void) | undefined;
  #ready = 0;

  constructor(
    key: BlockKey,
    range: ByteRange,
    into: Uint8Array,
    onProgress: ((readyBytes: number) => void) | undefined,
  ) {
    const { offset, length } = range;
    this.request = { type: 'get', id: blockIdOf(key), offset, length };
    this.#range = range;
    this.#into = into;
    this.#onProgress = onProgress;
  }

  roomFor(reply: BlockReply, payloadBytes: number): Uint8Array {
    if (reply.type !== 'data') throw protocolError(`a ${reply.type} with a payload`);
    const expected = this.#range.offset + this.#ready;
    if (reply.offset !== expected) throw protocolError(`bytes of ${reply.offset}, not ${expected}`);
    if (payloadBytes > this.#into.byteLength - this.#ready) throw protocolError('too many bytes');
    return this.#into.subarray(this.#ready, this.#ready + payloadBytes);
  }

  onReply(reply: BlockReply, payload: Uint8Array): boolean {
    if (reply.type === 'working') return false;
    if (reply.type === 'data') {
      if (payload.byteLength === 0) throw protocolError('data without bytes');
      if (crc32c(payload) !== reply.crc32c) {
        throw new PeerError('corrupt', 'bytes of the peer do not match their checksum');
      }
      this.#ready += payload.byteLength;
      this.#onProgress?.(this.#ready);
      return false;
    }
    if (reply.type !== 'end') throw protocolError(`a ${reply.type} for a get`);
    if (this.#ready !== this.#into.byteLength) throw protocolError('an end before the last byte');
    return true;
  }
}

function protocolError(what: string): PeerError {
  return new PeerError('protocol', `the peer sent ${what}`);
}
