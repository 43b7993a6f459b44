import type { Duplex } from 'node:stream';
import { crc32c } from '@node-rs/crc32';
import { pieceSums } from '../block/piece-sums.ts';
import type { Clock } from '../runtime/clock.ts';
import { abortReason } from '../runtime/deadline.ts';
import { dataReply } from './block-message.ts';
import type { WireRecord } from './checked-msgpack.ts';
import { NUMBERED_VERSION } from './frame-codec.ts';
import { FrameWriter, type OutgoingFrame } from './frame-writer.ts';

/** Payload of a frame in version 2 at most. */
const OLD_PAYLOAD_BYTES_MAX = 256 * 1024;

/** Bytes of a block on their way to a peer. */
export interface OutgoingBytes {
  readonly bytes: Uint8Array;
  /** Of the first byte in its block. */
  readonly offset: number;
  /** What `pieceSums` gives for them, when it is known. */
  readonly sums?: Uint32Array;
}

/** Sends the answers of one connection, in the version that both sides speak. */
export class ReplySender {
  readonly #writer: FrameWriter;
  readonly #clock: Clock;
  readonly #version: number;
  #sending = 0;
  #lastSentMs: number;

  constructor(socket: Duplex, options: { clock: Clock; stallTimeoutMs: number; version: number }) {
    this.#writer = new FrameWriter(socket, options);
    this.#clock = options.clock;
    this.#version = options.version;
    this.#lastSentMs = options.clock.nowMs();
  }

  /** Whether blocks go in frames of any size, with checksums of pieces. */
  get sendsWhole(): boolean {
    return this.#version >= NUMBERED_VERSION;
  }

  /** How long nothing was sent; 0 while something is being sent. */
  get silentMs(): number {
    return this.#sending > 0 ? 0 : this.#clock.nowMs() - this.#lastSentMs;
  }

  /** The silence begins now: a request has come. */
  listen(): void {
    this.#lastSentMs = this.#clock.nowMs();
  }

  /** Sends one reply without payload. @throws as {@link FrameWriter.send} */
  reply(header: WireRecord, number: number): Promise<void> {
    return this.frames([{ header }], number);
  }

  /** Sends replies together. @throws as {@link FrameWriter.send} */
  async frames(frames: readonly OutgoingFrame[], number: number): Promise<void> {
    this.#sending += 1;
    try {
      await this.#writer.send(frames, number);
    } finally {
      this.#sending -= 1;
      this.#lastSentMs = this.#clock.nowMs();
    }
  }

  /** Sends bytes of a block. @throws as {@link FrameWriter.send}; the signal's reason */
  async bytes(outgoing: OutgoingBytes, number: number, signal: AbortSignal): Promise<void> {
    if (this.sendsWhole) {
      await this.frames([dataFrame(outgoing, {})], number);
      if (signal.aborted) throw abortReason(signal);
      return;
    }
    const { bytes, offset } = outgoing;
    for (let at = 0; at < bytes.byteLength; at += OLD_PAYLOAD_BYTES_MAX) {
      const payload = bytes.subarray(at, at + OLD_PAYLOAD_BYTES_MAX);
      const header = { type: 'data', offset: offset + at, crc32c: crc32c(payload) };
      await this.frames([{ header, payload }], number);
      if (signal.aborted) throw abortReason(signal);
    }
  }
}

/** A frame of version 3 with bytes of a block. @param more - fields beside offset and checksums */
export function dataFrame(
  { bytes, offset, sums }: OutgoingBytes,
  more: { readonly place?: number; readonly last?: boolean },
): OutgoingFrame {
  return { header: dataReply(offset, sums ?? pieceSums(bytes), more), payload: bytes };
}
