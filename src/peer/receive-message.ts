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
  await feed(stream, signal, (chunk) => {
    decoder.push(chunk);
    return message === undefined;
  });
  if (message === undefined) {
    throw new PeerError('unreachable', 'the control stream ended early', { retryable: true });
  }
  return message;
}

/**
 * Hands the stream's bytes on until `take` wants no more, or the stream ends. The stream's own
 * iterator closes it when it is left, and an answer still has to go out.
 *
 * @throws what `take` throws; the signal's reason when aborted, and the stream is then aborted, too
 */
export function feed(
  stream: Stream,
  signal: AbortSignal,
  take: (chunk: Uint8Array) => boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (error?: Error) => {
      stream.removeEventListener('message', onMessage);
      stream.removeEventListener('close', onEnd);
      stream.removeEventListener('remoteCloseWrite', onEnd);
      signal.removeEventListener('abort', onAbort);
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
    const onAbort = () => {
      finish(abortReason(signal));
      stream.abort(abortReason(signal));
    };
    stream.addEventListener('message', onMessage);
    stream.addEventListener('close', onEnd);
    stream.addEventListener('remoteCloseWrite', onEnd);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    // It may have ended before anybody listened.
    else if (stream.remoteWriteStatus === 'closed') onEnd();
  });
}
