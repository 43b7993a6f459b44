import type { IncomingMessage } from 'node:http';
import { chunkStream } from '../chunk-stream.ts';
import { toStoreError } from './s3-error.ts';

/**
 * The bytes of an answer as they come from the socket. Aborting the signal, or leaving early,
 * closes the connection; reading to the end returns it to the agent.
 */
export function bodyChunks(
  stream: IncomingMessage,
  { what, signal }: { what: string; signal: AbortSignal },
): AsyncIterable<Uint8Array> {
  const source = stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  const onAbort = () => void stream.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  // Nobody may be reading when the connection breaks: without a listener that ends the process.
  stream.on('error', () => undefined);
  if (signal.aborted) onAbort();
  return chunkStream({
    async read() {
      try {
        signal.throwIfAborted();
        const result = await source.next();
        signal.throwIfAborted();
        return result.done === true ? undefined : result.value;
      } catch (error) {
        throw toStoreError(what, error, signal);
      }
    },
    close() {
      signal.removeEventListener('abort', onAbort);
      if (!stream.readableEnded) stream.destroy();
      return Promise.resolve();
    },
  });
}
