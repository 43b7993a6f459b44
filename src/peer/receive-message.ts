import type { Stream } from '@libp2p/interface';
import { abortReason } from '../runtime/deadline.ts';
import { PeerError } from './block-exchange.ts';
import type { WireRecord } from './checked-msgpack.ts';
import { FrameDecoder } from './frame-codec.ts';

/**
 * Reads the one message that a control stream carries.
 *
 * @throws PeerError (`protocol`, `unreachable` when the stream ends first); the signal's reason
 */
export async function receiveMessage(stream: Stream, signal: AbortSignal): Promise<WireRecord> {
  let message: WireRecord | undefined;
  const decoder = new FrameDecoder({
    roomFor: () => {
      throw new PeerError('protocol', 'a control message with a payload');
    },
    onFrame: (header) => {
      message = header;
      decoder.stop();
    },
  });
  const onAbort = () => stream.abort(abortReason(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await feed(stream, (chunk) => {
      decoder.push(chunk);
      return message === undefined;
    });
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  if (signal.aborted) throw abortReason(signal);
  if (message === undefined) {
    throw new PeerError('unreachable', 'the control stream ended early', { retryable: true });
  }
  return message;
}

/**
 * Hands the stream's bytes on until `take` wants no more. The stream's own iterator closes it when
 * it is left, and an answer still has to go out.
 */
function feed(stream: Stream, take: (chunk: Uint8Array) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (error?: Error) => {
      stream.removeEventListener('message', onMessage);
      stream.removeEventListener('close', onEnd);
      stream.removeEventListener('remoteCloseWrite', onEnd);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onMessage = (event: { readonly data: { subarray(): Uint8Array } }) => {
      try {
        if (!take(event.data.subarray())) finish();
      } catch (error) {
        finish(error instanceof Error ? error : new Error('broken', { cause: error }));
      }
    };
    // What has arrived before the end is dispatched in a microtask that is already queued.
    const onEnd = () => queueMicrotask(() => finish());
    stream.addEventListener('message', onMessage);
    stream.addEventListener('close', onEnd);
    stream.addEventListener('remoteCloseWrite', onEnd);
  });
}
