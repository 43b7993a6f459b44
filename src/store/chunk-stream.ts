import type { ObjectBody, ReadInto } from './object-store.ts';

/** Where the chunks of a {@link chunkStream} come from. */
export interface ChunkReader {
  /** The next chunk; undefined at the end. A chunk is the caller's to keep. */
  read(): Promise<Uint8Array | undefined>;
  /** Frees what the reader holds. Called exactly once: at the end, after a failure, on leaving early. */
  close(): Promise<void>;
}

/**
 * Makes a body's chunks out of a reader. Unlike an async generator it closes the reader even when
 * it is left before the first chunk was asked for.
 */
export function chunkStream(reader: ChunkReader): AsyncIterableIterator<Uint8Array> {
  let open = true;
  const close = async () => {
    if (!open) return;
    open = false;
    await reader.close();
  };
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      if (!open) return { done: true, value: undefined };
      try {
        const value = await reader.read();
        if (value !== undefined) return { done: false, value };
      } catch (error) {
        await close();
        throw error;
      }
      await close();
      return { done: true, value: undefined };
    },
    async return() {
      await close();
      return { done: true, value: undefined };
    },
  };
}

/** Gets told about the bytes of a body; see {@link watchBody}. */
export interface BodyWatcher {
  /** So many more have come. */
  onBytes?(count: number): void;
  /** Called once: at the end, on leaving early, or with the error. */
  onEnd(error?: unknown): void;
}

/** Passes a body on as it is and tells `watcher` about it, in whatever way it is read. */
export function watchBody(body: ObjectBody, watcher: BodyWatcher): ObjectBody {
  let ended = false;
  const end = (error?: unknown) => {
    if (!ended) watcher.onEnd(error);
    ended = true;
  };
  const readInto = body.readInto && watchedReadInto(body.readInto, watcher, end);
  return { ...body, chunks: watchedChunks(body.chunks, watcher, end), readInto };
}

function watchedReadInto(
  readInto: ReadInto,
  watcher: BodyWatcher,
  end: (error?: unknown) => void,
): ReadInto {
  return async (into, onReady) => {
    let before = 0;
    try {
      await readInto(into, (readyBytes) => {
        watcher.onBytes?.(readyBytes - before);
        before = readyBytes;
        onReady(readyBytes);
      });
      end();
    } catch (error) {
      end(error);
      throw error;
    }
  };
}

function watchedChunks(
  chunks: AsyncIterable<Uint8Array>,
  watcher: BodyWatcher,
  end: (error?: unknown) => void,
): AsyncIterableIterator<Uint8Array> {
  const source = chunks[Symbol.asyncIterator]();
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      try {
        const result = await source.next();
        if (result.done === true) end();
        else watcher.onBytes?.(result.value.byteLength);
        return result;
      } catch (error) {
        end(error);
        throw error;
      }
    },
    async return() {
      try {
        await source.return?.();
      } finally {
        end();
      }
      return { done: true, value: undefined };
    },
  };
}

/** Leaves a body unread, which frees its connection. */
export async function discardChunks(chunks: AsyncIterable<Uint8Array>): Promise<void> {
  await chunks[Symbol.asyncIterator]().return?.();
}
