import type { ByteRange } from '../../src/block/byte-range.ts';
import { chunkStream } from '../../src/store/chunk-stream.ts';
import { type ObjectBody, type ObjectStore, StoreError } from '../../src/store/object-store.ts';

/** What a scripted GET is asked. */
export interface Asked {
  readonly key: string;
  readonly range: ByteRange | undefined;
  readonly signal: AbortSignal;
}

/** A store whose GETs are answered by a test, one after the other; the last answer repeats. */
export interface ScriptedStore extends ObjectStore {
  readonly asked: Asked[];
}

/** @param answers - the n-th answers the n-th GET */
export function scriptedStore(
  ...answers: ((asked: Asked) => Promise<ObjectBody>)[]
): ScriptedStore {
  const asked: Asked[] = [];
  const refuse = () => Promise.reject(new StoreError('denied', 'not scripted'));
  return {
    displayName: 'scripted',
    asked,
    get(key, range, signal) {
      const answer = answers[Math.min(asked.length, answers.length - 1)] ?? refuse;
      const question = { key, range, signal };
      asked.push(question);
      return answer(question);
    },
    head: refuse,
    put: refuse,
    delete: refuse,
    async *list() {},
    close: () => Promise.resolve(),
  };
}

/** A body of these chunks; `closed` counts how often it was ended. */
export function bodyOf(
  chunks: readonly Uint8Array[],
  more: Partial<ObjectBody> & { onClose?: () => void } = {},
): ObjectBody {
  let at = 0;
  return {
    sizeBytes: chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0),
    crc32c: undefined,
    chunks: chunkStream({
      read: () => Promise.resolve(chunks[at++]),
      close: () => Promise.resolve(more.onClose?.()),
    }),
    ...more,
  };
}

/** An answer that never comes and does not care about its signal. */
export function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}
