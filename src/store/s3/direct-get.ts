import assert from 'node:assert/strict';
import { S3ServiceException, type S3Client } from '@aws-sdk/client-s3';
import type { ByteRange } from '../../block/byte-range.ts';
import type { Clock } from '../../runtime/clock.ts';
import { abortReason } from '../../runtime/deadline.ts';
import { chunkStream } from '../chunk-stream.ts';
import type { ObjectBody } from '../object-store.ts';
import type { TlsOptions } from '../tls-options.ts';
import type { AnswerHead } from './answer-head.ts';
import { type ChunkedText, textOfChunks } from './chunked-text.ts';
import type { GetConnection } from './get-connection.ts';
import { GetConnections } from './get-connections.ts';
import { GetRequests } from './get-requests.ts';
import { SKEWED, toStoreError } from './s3-error.ts';

/** Whoever reads chunk by chunk gets so many bytes at most. */
const CHUNK_BYTES = 128 * 1024;
/** The code stands at the beginning of an error's text. */
const ERROR_BYTES_MAX = 16 * 1024;

/** What a {@link DirectGet} needs. */
export interface DirectGetOptions {
  /** Prepares and signs requests. */
  readonly client: S3Client;
  readonly bucket: string;
  readonly tls: TlsOptions;
  readonly socketsMax: number;
  readonly clock: Clock;
}

/** An answer that is an object. */
export interface DirectAnswer {
  readonly head: AnswerHead;
  /** Ends the answer unread. */
  leave(): void;
  /** @throws StoreError; the signal's reason when aborted */
  body(sizeBytes: number): Pick<ObjectBody, 'chunks' | 'readInto'>;
}

/**
 * GETs past the SDK's stack and node:http: the request is the SDK's, and signed by it; the body goes from
 * the socket to where it is wanted: a third of the processor time (docs/performance.md).
 */
export class DirectGet {
  readonly #options: DirectGetOptions;
  #opened: Promise<Opened> | undefined;

  constructor(options: DirectGetOptions) {
    this.#options = options;
  }

  /**
   * Asks for an object, in one attempt; a connection that the server had closed meanwhile is no attempt.
   *
   * @returns undefined when the SDK should ask instead: there are too many connections, or our clock is
   *   wrong
   * @throws S3ServiceException as the SDK; what the connection failed with; the signal's reason
   */
  async get(
    key: string,
    range: ByteRange | undefined,
    signal: AbortSignal,
  ): Promise<DirectAnswer | undefined> {
    this.#opened ??= this.#open();
    const { requests, connections } = await this.#opened;
    const request = await requests.head(key, range);
    for (;;) {
      if (signal.aborted) throw abortReason(signal);
      const connection = connections.take();
      if (connection === undefined) return undefined;
      const exchange = new Exchange(connection, `GET ${key}`, signal);
      const head = await exchange.ask(request);
      if (head === undefined) continue;
      if (head.status < 300) return exchange.answer(head);
      const failure = await exchange.failure(head);
      if (failure.name !== SKEWED) throw failure;
      return undefined;
    }
  }

  /** Ends all connections. */
  close(): void {
    this.#opened?.then(
      ({ connections }) => connections.close(),
      () => undefined,
    );
  }

  async #open(): Promise<Opened> {
    const { client, bucket, clock, tls, socketsMax } = this.#options;
    try {
      const requests = await GetRequests.of(client, bucket, clock);
      const { protocol, hostname, port } = requests.template;
      const isTls = protocol === 'https:';
      const place = {
        host: hostname.replace(/^\[(.*)\]$/, '$1'),
        port: port ?? (isTls ? 443 : 80),
        tls: isTls ? tls : undefined,
      };
      return { requests, connections: new GetConnections({ place, clock, max: socketsMax }) };
    } catch (error) {
      this.#opened = undefined;
      throw error;
    }
  }
}

interface Opened {
  readonly requests: GetRequests;
  readonly connections: GetConnections;
}

/** One request on a connection, until its body was read or the connection closed. */
class Exchange {
  readonly #connection: GetConnection;
  readonly #what: string;
  readonly #signal: AbortSignal;
  readonly #onAbort = () => this.#close(abortReason(this.#signal));
  #turn = 0;

  constructor(connection: GetConnection, what: string, signal: AbortSignal) {
    this.#connection = connection;
    this.#what = what;
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** @returns undefined when the server had closed the connection before it was asked */
  async ask(request: string): Promise<AnswerHead | undefined> {
    const connection = this.#connection;
    try {
      const head = connection.ask(request);
      this.#turn = connection.turn;
      return await head;
    } catch (error) {
      this.#done();
      // The connection is closed. One that goes on could serve somebody else by now.
      const isStale = this.#turn > 1 && !connection.hasAnswered && !this.#signal.aborted;
      if (isStale) return undefined;
      throw error;
    }
  }

  answer(head: AnswerHead): DirectAnswer {
    if (head.bodyBytes === 0) this.#done();
    return {
      head,
      leave: () => this.#leave(),
      body: (sizeBytes) => {
        assert(sizeBytes === head.bodyBytes);
        return { chunks: this.#chunks(sizeBytes), readInto: this.#readInto };
      },
    };
  }

  /** What the SDK throws for such an answer. */
  async failure(head: AnswerHead): Promise<Error> {
    const text = await this.#errorText(head);
    const name = /<Code>([^<]{1,100})<\/Code>/.exec(text)?.[1] ?? `status ${head.status}`;
    const message = /<Message>([^<]{1,500})<\/Message>/.exec(text)?.[1] ?? 'no message';
    const $metadata = { httpStatusCode: head.status };
    return new S3ServiceException({ name, message, $metadata, $fault: 'server' });
  }

  /** The beginning of an answer's text, as far as it comes. @throws the signal's reason */
  async #errorText({ bodyBytes, headers }: AnswerHead): Promise<string> {
    const into = Buffer.alloc(Math.min(bodyBytes ?? ERROR_BYTES_MAX, ERROR_BYTES_MAX));
    const isChunked = headers.has('transfer-encoding');
    // One without a length may go on for ever, and its last chunk is what ends one in chunks.
    const leastBytes = bodyBytes === undefined ? 1 : into.byteLength;
    let count = 0;
    let chunks: ChunkedText | undefined;
    try {
      while (count < into.byteLength) {
        count += await this.#connection.read(into.subarray(count), leastBytes, () => undefined);
        if (isChunked) chunks = textOfChunks(into.subarray(0, count));
        if (bodyBytes === undefined && chunks?.isComplete !== false) break;
      }
    } catch {
      // One that breaks off is judged by its status.
      if (this.#signal.aborted) throw abortReason(this.#signal);
    }
    if (count !== bodyBytes) this.#leave();
    this.#done();
    return chunks?.text ?? into.toString('utf8', 0, count);
  }

  readonly #readInto = async (
    into: Uint8Array,
    onReady: (readyBytes: number) => void,
  ): Promise<void> => {
    try {
      if (into.byteLength > 0) await this.#connection.read(into, into.byteLength, onReady);
    } catch (error) {
      throw toStoreError(this.#what, error, this.#signal);
    } finally {
      this.#done();
    }
  };

  #chunks(sizeBytes: number): AsyncIterable<Uint8Array> {
    let leftBytes = sizeBytes;
    return chunkStream({
      read: async () => {
        if (leftBytes === 0) return undefined;
        const into = Buffer.allocUnsafeSlow(Math.min(leftBytes, CHUNK_BYTES));
        try {
          const count = await this.#connection.read(into, 1, () => undefined);
          leftBytes -= count;
          return into.subarray(0, count);
        } catch (error) {
          throw toStoreError(this.#what, error, this.#signal);
        }
      },
      close: () => {
        if (leftBytes > 0) this.#leave();
        this.#done();
        return Promise.resolve();
      },
    });
  }

  #leave(): void {
    this.#done();
    this.#close(new Error('the answer is not wanted any more'));
  }

  /** A connection whose answer is complete may serve somebody else already. */
  #close(reason: Error): void {
    if (this.#connection.turn === this.#turn) this.#connection.close(reason);
  }

  /** Nothing is to be aborted any more. */
  #done(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}
