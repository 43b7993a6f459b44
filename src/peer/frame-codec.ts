import { crc32c } from '@node-rs/crc32';
import { PeerError } from './block-exchange.ts';
import { packRecord, unpackRecord, type WireRecord } from './checked-msgpack.ts';

/**
 * A frame is: `CMX` and the version (4 bytes), length and CRC-32C of the header (u32 each,
 * big-endian), the header (a MessagePack map), and as many bytes of payload as the header's `bytes`
 * says (none without it). Without the checksum a flipped bit could ask for another block.
 */
export const FRAME_VERSION = 1;
/** Header of a frame at most. */
export const HEADER_BYTES_MAX = 64 * 1024;
/** Payload of a frame at most; a block goes in several, so that its first bytes arrive early. */
export const PAYLOAD_BYTES_MAX = 256 * 1024;

const MAGIC = 0x434d58;
const PREFIX_BYTES = 12;

/**
 * The part of a frame before its payload; the payload itself is written after it, uncopied.
 *
 * @param payloadBytes - length of the payload that will follow
 */
export function encodeFrame(header: WireRecord, payloadBytes = 0): Uint8Array {
  const packed = packRecord(payloadBytes === 0 ? header : { ...header, bytes: payloadBytes });
  const frame = new Uint8Array(PREFIX_BYTES + packed.byteLength);
  const view = new DataView(frame.buffer);
  view.setUint32(0, MAGIC * 256 + FRAME_VERSION);
  view.setUint32(4, packed.byteLength);
  view.setUint32(8, crc32c(packed));
  frame.set(packed, PREFIX_BYTES);
  return frame;
}

/** Gets the frames out of a {@link FrameDecoder}. May throw; the error comes out of `push`. */
export interface FrameSink {
  /** Where the payload of the frame goes: exactly `payloadBytes` (> 0) bytes. */
  roomFor(header: WireRecord, payloadBytes: number): Uint8Array;
  /** A frame is complete; `payload` is what `roomFor` gave, or empty. */
  onFrame(header: WireRecord, payload: Uint8Array): void;
}

const NO_PAYLOAD: Uint8Array = new Uint8Array(0);

/** Finds frames in a stream of bytes that arrives in pieces of any size. Copies payload once. */
export class FrameDecoder {
  readonly #sink: FrameSink;
  #head = new Uint8Array(256);
  #headFilled = 0;
  #headNeeded = PREFIX_BYTES;
  #header: WireRecord = {};
  #payload = NO_PAYLOAD;
  #payloadFilled = 0;
  #stopped = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** From here on nothing is decoded and no room is written to any more. */
  stop(): void {
    this.#stopped = true;
    this.#payload = NO_PAYLOAD;
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
    payload.set(chunk.subarray(at, at + length), this.#payloadFilled);
    this.#payloadFilled += length;
    if (this.#payloadFilled === payload.byteLength) this.#finish(payload);
    return at + length;
  }

  #takeHead(chunk: Uint8Array, at: number): number {
    const length = Math.min(chunk.byteLength - at, this.#headNeeded - this.#headFilled);
    this.#head.set(chunk.subarray(at, at + length), this.#headFilled);
    this.#headFilled += length;
    if (this.#headFilled < this.#headNeeded) return at + length;
    if (this.#headNeeded === PREFIX_BYTES) this.#readPrefix();
    else this.#readHeader();
    return at + length;
  }

  #readPrefix(): void {
    const view = new DataView(this.#head.buffer);
    const version = view.getUint8(3);
    if (view.getUint32(0) >>> 8 !== MAGIC) throw protocolError('bytes that are no frame');
    if (version !== FRAME_VERSION) {
      throw protocolError(`a frame of version ${version}; this node speaks ${FRAME_VERSION}`);
    }
    const headerBytes = view.getUint32(4);
    if (headerBytes === 0 || headerBytes > HEADER_BYTES_MAX) {
      throw protocolError(`a frame's header of ${headerBytes} bytes`);
    }
    this.#headNeeded = PREFIX_BYTES + headerBytes;
    if (this.#headNeeded > this.#head.byteLength) {
      const larger = new Uint8Array(this.#headNeeded);
      larger.set(this.#head.subarray(0, PREFIX_BYTES));
      this.#head = larger;
    }
  }

  #readHeader(): void {
    const packed = this.#head.subarray(PREFIX_BYTES, this.#headNeeded);
    if (crc32c(packed) !== new DataView(this.#head.buffer).getUint32(8)) {
      throw new PeerError('corrupt', 'a header does not match its checksum', { retryable: true });
    }
    this.#header = unpackRecord(packed);
    const payloadBytes = this.#header['bytes'] ?? 0;
    if (!isIntegerIn(payloadBytes, 0, PAYLOAD_BYTES_MAX)) {
      throw protocolError('a frame whose payload has no possible length');
    }
    if (payloadBytes === 0) {
      this.#finish(NO_PAYLOAD);
      return;
    }
    const room = this.#sink.roomFor(this.#header, payloadBytes);
    if (!this.#stopped) this.#payload = room;
  }

  #finish(payload: Uint8Array): void {
    const header = this.#header;
    this.#headFilled = 0;
    this.#headNeeded = PREFIX_BYTES;
    this.#header = {};
    this.#payload = NO_PAYLOAD;
    this.#payloadFilled = 0;
    this.#sink.onFrame(header, payload);
  }
}

/** Whether `value` is a whole number, `least` ≤ value ≤ `most`. */
export function isIntegerIn(value: unknown, least: number, most: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
}

function protocolError(what: string): PeerError {
  return new PeerError('protocol', `the peer sent ${what}`);
}
