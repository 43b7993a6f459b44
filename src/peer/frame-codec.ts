import { crc32c } from '@node-rs/crc32';
import { BLOCK_BYTES_MAX } from '../block/geometry.ts';
import { PeerError } from './block-exchange.ts';
import { packRecord, unpackRecord, type WireRecord } from './checked-msgpack.ts';

/**
 * A frame is: `CMX` and the version (4 bytes), length of the header and CRC-32C of all that follows
 * up to the payload (u32 each, big-endian), from version 3 on the number of the request that it
 * belongs to (u32), the header (a MessagePack map), and as many bytes of payload as the header's
 * `bytes` says (none without it). Without the checksum a flipped bit could ask for another block.
 */
export interface FrameMark {
  /** 2 or 3: what both sides speak (`protocol-version.ts`). */
  readonly version: number;
  /** Counted by the asking side from 1 on; 0 belongs to no request. Not sent in version 2. */
  readonly request: number;
}

/** The first version whose frames have the number of their request. */
export const NUMBERED_VERSION = 3;
/** Marks of the control channel: each stream carries one question, so nothing needs a number. */
const UNNUMBERED: FrameMark = { version: 2, request: 0 };
/** Largest number of a request. */
export const REQUEST_NUMBER_MAX = 0xffffffff;
/** Header of a frame at most. */
export const HEADER_BYTES_MAX = 64 * 1024;
/** Payload that is put into its room by one read at most, so that it is checked from the cache. */
const READ_BYTES_MAX = 256 * 1024;
/** Payload of a frame at most. */
const PAYLOAD_BYTES_MAX = BLOCK_BYTES_MAX;

const MAGIC = 0x434d58;
/** Up to the checksum. */
const FIXED_BYTES = 12;
const NUMBER_BYTES = 4;

/**
 * The part of a frame before its payload; the payload itself is written after it, uncopied.
 *
 * @param payloadBytes - length of the payload that will follow
 * @param mark - default: as the control channel does
 */
export function encodeFrame(
  header: WireRecord,
  payloadBytes = 0,
  mark: FrameMark = UNNUMBERED,
): Uint8Array {
  const packed = packRecord(payloadBytes === 0 ? header : { ...header, bytes: payloadBytes });
  const prefixBytes = prefixBytesOf(mark.version);
  const frame = new Uint8Array(prefixBytes + packed.byteLength);
  const view = new DataView(frame.buffer);
  view.setUint32(0, MAGIC * 256 + mark.version);
  view.setUint32(4, packed.byteLength);
  if (prefixBytes > FIXED_BYTES) view.setUint32(FIXED_BYTES, mark.request);
  frame.set(packed, prefixBytes);
  view.setUint32(8, crc32c(frame.subarray(FIXED_BYTES)));
  return frame;
}

function prefixBytesOf(version: number): number {
  return version >= NUMBERED_VERSION ? FIXED_BYTES + NUMBER_BYTES : FIXED_BYTES;
}

/** Gets the frames out of a {@link FrameDecoder}. May throw; the error comes out of `push`. */
export interface FrameSink {
  /** Where the payload of the frame goes: exactly `payloadBytes` (> 0) bytes. */
  roomFor(header: WireRecord, payloadBytes: number, request: number): Uint8Array;
  /**
   * The next bytes of the payload have been put into their room; `bytes` are the same where the
   * processor has them at hand, there or elsewhere, and valid during the call.
   */
  onPayload?(bytes: Uint8Array): void;
  /**
   * A frame is complete; `payload` is what `roomFor` gave, or empty. `request` is 0 in versions
   * without numbers.
   */
  onFrame(header: WireRecord, payload: Uint8Array, request: number): void;
}

const NO_PAYLOAD: Uint8Array = new Uint8Array(0);

/**
 * Finds frames in a stream of bytes that arrives in pieces of any size. Copies payload once, or not
 * at all where it was read into its {@link FrameDecoder.room}.
 */
export class FrameDecoder {
  readonly #sink: FrameSink;
  readonly #version: number;
  readonly #prefixBytes: number;
  #head = new Uint8Array(256);
  #headFilled = 0;
  #headNeeded: number;
  #request = 0;
  #header: WireRecord = {};
  #payload = NO_PAYLOAD;
  #payloadFilled = 0;
  #stopped = false;

  /** @param version - of all frames of this stream; another one is an error */
  constructor(sink: FrameSink, version: number = UNNUMBERED.version) {
    this.#sink = sink;
    this.#version = version;
    this.#prefixBytes = prefixBytesOf(version);
    this.#headNeeded = this.#prefixBytes;
  }

  /** From here on nothing is decoded and no room is written to any more. */
  stop(): void {
    this.#stopped = true;
    this.#payload = NO_PAYLOAD;
  }

  /**
   * Where the next bytes of the stream may be put before they are pushed: what is left of a payload's
   * room. Undefined when something else comes next.
   */
  get room(): Uint8Array | undefined {
    if (this.#payload.byteLength === 0) return undefined;
    return this.#payload.subarray(this.#payloadFilled, this.#payloadFilled + READ_BYTES_MAX);
  }

  /**
   * Takes the next bytes of the stream; the view may be reused after the call.
   *
   * @throws PeerError (`protocol`) for bytes that are no frame, `corrupt` for a header that was
   *   changed on its way, or what the sink throws; the decoder is then stopped
   */
  push(chunk: Uint8Array): void {
    try {
      let at = 0;
      while (at < chunk.byteLength && !this.#stopped) {
        at =
          this.#payload.byteLength > 0 ? this.#takePayload(chunk, at) : this.#takeHead(chunk, at);
      }
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  #takePayload(chunk: Uint8Array, at: number): number {
    const payload = this.#payload;
    const length = Math.min(chunk.byteLength - at, payload.byteLength - this.#payloadFilled);
    const bytes = chunk.subarray(at, at + length);
    const place = payload.byteOffset + this.#payloadFilled;
    const isThere = bytes.buffer === payload.buffer && bytes.byteOffset === place;
    if (!isThere) payload.set(bytes, this.#payloadFilled);
    this.#payloadFilled += length;
    this.#sink.onPayload?.(bytes);
    if (this.#stopped) return chunk.byteLength;
    if (this.#payloadFilled === payload.byteLength) this.#finish(payload);
    return at + length;
  }

  #takeHead(chunk: Uint8Array, at: number): number {
    const length = Math.min(chunk.byteLength - at, this.#headNeeded - this.#headFilled);
    this.#head.set(chunk.subarray(at, at + length), this.#headFilled);
    this.#headFilled += length;
    if (this.#headFilled < this.#headNeeded) return at + length;
    if (this.#headNeeded === this.#prefixBytes) this.#readPrefix();
    else this.#readHeader();
    return at + length;
  }

  #readPrefix(): void {
    const view = new DataView(this.#head.buffer);
    const version = view.getUint8(3);
    if (view.getUint32(0) >>> 8 !== MAGIC) throw protocolError('bytes that are no frame');
    if (version !== this.#version) {
      throw protocolError(`a frame of version ${version} where ${this.#version} was agreed on`);
    }
    const headerBytes = view.getUint32(4);
    if (headerBytes === 0 || headerBytes > HEADER_BYTES_MAX) {
      throw protocolError(`a frame's header of ${headerBytes} bytes`);
    }
    this.#headNeeded = this.#prefixBytes + headerBytes;
    if (this.#headNeeded > this.#head.byteLength) {
      const larger = new Uint8Array(this.#headNeeded);
      larger.set(this.#head.subarray(0, this.#prefixBytes));
      this.#head = larger;
    }
  }

  #readHeader(): void {
    const view = new DataView(this.#head.buffer);
    if (crc32c(this.#head.subarray(FIXED_BYTES, this.#headNeeded)) !== view.getUint32(8)) {
      throw new PeerError('corrupt', 'a header does not match its checksum', { retryable: true });
    }
    this.#header = unpackRecord(this.#head.subarray(this.#prefixBytes, this.#headNeeded));
    this.#request = this.#version >= NUMBERED_VERSION ? view.getUint32(FIXED_BYTES) : 0;
    const payloadBytes = this.#header['bytes'] ?? 0;
    if (!isIntegerIn(payloadBytes, 0, PAYLOAD_BYTES_MAX)) {
      throw protocolError('a frame whose payload has no possible length');
    }
    if (payloadBytes === 0) {
      this.#finish(NO_PAYLOAD);
      return;
    }
    const room = this.#sink.roomFor(this.#header, payloadBytes, this.#request);
    if (!this.#stopped) this.#payload = room;
  }

  #finish(payload: Uint8Array): void {
    const header = this.#header;
    this.#headFilled = 0;
    this.#headNeeded = this.#prefixBytes;
    this.#header = {};
    this.#payload = NO_PAYLOAD;
    this.#payloadFilled = 0;
    this.#sink.onFrame(header, payload, this.#request);
  }
}

/** Whether `value` is a whole number, `least` ≤ value ≤ `most`. */
export function isIntegerIn(value: unknown, least: number, most: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
}

function protocolError(what: string): PeerError {
  return new PeerError('protocol', `the peer sent ${what}`);
}
