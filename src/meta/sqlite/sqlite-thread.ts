import { Worker } from 'node:worker_threads';
import { MetaError } from '../engine.ts';
import { fromFailure } from './sqlite-errors.ts';
import type { SqliteReply, SqliteRequest, SqliteWorkerData } from './sqlite-protocol.ts';

/** A request's place in the line. */
export interface ThreadRequest {
  readonly request: Exclude<SqliteRequest, { close: true }>;
  /** Nobody waits for it any more: it need not be sent. */
  isOver(): boolean;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** So many requests lie in the thread's own line, where they cannot be taken back. */
const SENT_MAX = 16;

/** One life of the worker thread. When it dies, all its requests fail and `onEnd` is called. */
export class SqliteThread {
  readonly #worker: Worker;
  readonly #sent = new Map<number, ThreadRequest>();
  readonly #line: ThreadRequest[] = [];
  readonly #ended: Promise<void>;
  #isDead = false;

  constructor(data: SqliteWorkerData, onEnd: (error: Error | undefined) => void) {
    const ending = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
    this.#worker = new Worker(new URL(`./sqlite-worker${ending}`, import.meta.url), {
      workerData: data,
      name: 'sqlite',
      env: {},
    });
    let failure: Error | undefined;
    this.#worker.on('error', (error: Error) => {
      failure = error;
    });
    this.#worker.on('message', (reply: SqliteReply) => this.#settle(reply));
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#die(failure);
        onEnd(failure);
        resolve();
      });
    });
  }

  /** Puts a request into the line. */
  send(item: ThreadRequest): void {
    if (this.#isDead) {
      item.reject(threadEnded(undefined));
      return;
    }
    this.#line.push(item);
    this.#fill();
  }

  /** Closes the database when what was sent is done. Resolves when the thread has ended. */
  close(): Promise<void> {
    this.#rejectLine(threadEnded(undefined));
    this.#worker.postMessage({ close: true } satisfies SqliteRequest);
    return this.#ended;
  }

  /** Ends the thread wherever it is. */
  terminate(): void {
    void this.#worker.terminate();
  }

  #fill(): void {
    while (this.#sent.size < SENT_MAX) {
      const item = this.#line.shift();
      if (item === undefined) return;
      if (item.isOver()) {
        item.reject(new MetaError('unavailable', 'SQLite: nobody waits for the call any more'));
        continue;
      }
      this.#sent.set(item.request.id, item);
      this.#worker.postMessage(item.request);
    }
  }

  #settle(reply: SqliteReply): void {
    const item = this.#sent.get(reply.id);
    this.#sent.delete(reply.id);
    if ('error' in reply) {
      item?.reject(fromFailure(reply.error));
    } else {
      item?.resolve(reply.value);
    }
    this.#fill();
  }

  #die(cause: Error | undefined): void {
    this.#isDead = true;
    const error = threadEnded(cause);
    for (const item of this.#sent.values()) {
      const isChange = item.request.op === 'transact';
      item.reject(isChange ? changeLost(error) : error);
    }
    this.#sent.clear();
    this.#rejectLine(error);
  }

  #rejectLine(error: Error): void {
    for (const item of this.#line.splice(0)) item.reject(error);
  }
}

function threadEnded(cause: Error | undefined): MetaError {
  const message = `SQLite: the thread has ended${cause === undefined ? '' : `: ${cause.message}`}`;
  return new MetaError('unavailable', message, { retryable: true, cause });
}

/** It had been sent, so it may have been done. */
function changeLost(cause: MetaError): MetaError {
  return new MetaError('outcome-unknown', cause.message, { cause });
}
