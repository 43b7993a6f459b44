import { crc32c } from '@node-rs/crc32';
import { type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import { PieceChecker } from '../block/piece-sums.ts';
import { PeerError, type PeerFillOptions } from './block-exchange.ts';
import type { BlockReply, DataReply } from './block-message.ts';
import type { Exchange } from './bulk-connection.ts';
import type { WireRecord } from './checked-msgpack.ts';

type ExchangeOptions = Pick<PeerFillOptions, 'mode' | 'onProgress' | 'onWorking'>;

/** Gets a range of a block: payload goes straight to where the caller wants it. */
export class FillExchange implements Exchange {
  readonly request: WireRecord;
  readonly #range: ByteRange;
  readonly #into: Uint8Array;
  readonly #options: ExchangeOptions;
  /** Bytes that have arrived in whole frames, and those among all that are right. */
  #arrived = 0;
  #ready = 0;
  /** Of the frame that is arriving; undefined in version 2. */
  #checker: PieceChecker | undefined;

  constructor(key: BlockKey, range: ByteRange, into: Uint8Array, options: ExchangeOptions) {
    const { offset, length } = range;
    const { mode = 'any' } = options;
    const request = { type: 'get', id: blockIdOf(key), offset, length };
    this.request = mode === 'any' ? request : { ...request, mode };
    this.#range = range;
    this.#into = into;
    this.#options = options;
  }

  roomFor(reply: BlockReply, payloadBytes: number): Uint8Array {
    if (reply.type !== 'data') throw protocolError(`a ${reply.type} with a payload`);
    const expected = this.#range.offset + this.#arrived;
    if (reply.offset !== expected) throw protocolError(`bytes of ${reply.offset}, not ${expected}`);
    const end = this.#arrived + payloadBytes;
    if (end > this.#into.byteLength) throw protocolError('too many bytes');
    const { sums } = reply;
    this.#checker = sums === undefined ? undefined : new PieceChecker(sums, payloadBytes);
    return this.#into.subarray(this.#arrived, end);
  }

  onPayload(bytes: Uint8Array): void {
    if (this.#checker === undefined) return;
    const isRight = this.#checker.update(bytes);
    this.#report(this.#arrived + this.#checker.checkedBytes);
    if (!isRight) throw corrupt();
  }

  onReply(reply: BlockReply, payload: Uint8Array): boolean {
    if (reply.type === 'working') {
      this.#options.onWorking?.();
      return false;
    }
    if (reply.type === 'data') {
      this.#onData(reply, payload);
      if (!reply.last) return false;
    } else if (reply.type !== 'end') throw protocolError(`a ${reply.type} for a get`);
    if (this.#ready !== this.#into.byteLength) throw protocolError('an end before the last byte');
    return true;
  }

  #onData(reply: DataReply, payload: Uint8Array): void {
    if (payload.byteLength === 0) throw protocolError('data without bytes');
    if (this.#checker === undefined && crc32c(payload) !== reply.crc32c) throw corrupt();
    this.#arrived += payload.byteLength;
    this.#report(this.#arrived);
  }

  #report(readyBytes: number): void {
    if (readyBytes <= this.#ready) return;
    this.#ready = readyBytes;
    this.#options.onProgress?.(readyBytes);
  }
}

function protocolError(what: string): PeerError {
  return new PeerError('protocol', `the peer sent ${what}`);
}

function corrupt(): PeerError {
  return new PeerError('corrupt', 'bytes of the peer do not match their checksum');
}
