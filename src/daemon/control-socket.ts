import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { chmod, mkdir, rm } from 'node:fs/promises';
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Logger } from '../runtime/logger.ts';
import type { Startable } from '../runtime/startable.ts';
import { bigintText } from './bigint-text.ts';
import { UsageError } from './quantities.ts';

const ANSWER_BYTES_MAX = 64 * 2 ** 20;
const ANSWER_TIMEOUT_MS = 30_000;
/** 10,000 paths of the longest kind fit. */
const QUESTION_BYTES_MAX = 64 * 2 ** 20;
/** Warm-ups keep theirs as long as they run. */
const CONNECTIONS_MAX = 64;
const JSON_HEAD = { 'content-type': 'application/json' };

/** One question of the command line. */
export interface ControlQuestion {
  readonly url: URL;
  /** The JSON that came with it; undefined without any. */
  readonly body: unknown;
  /** Aborted when the asker has gone. */
  readonly signal: AbortSignal;
}

/**
 * Answers one question: with a value, or line by line; undefined when it does not know the path.
 */
export type ControlHandler = (question: ControlQuestion) => Promise<unknown>;

/** Where the daemon of a mount listens for the command line: a socket that only its user can open. */
export function controlSocketPath(mountpoint: string): string {
  const uid = process.getuid?.() ?? 0;
  const base = uid === 0 ? '/run/cachemesh' : path.join(tmpdir(), `cachemesh-${uid}`);
  const name = createHash('sha256').update(mountpoint).digest('hex').slice(0, 24);
  return path.join(base, `${name}.sock`);
}

/**
 * Anybody may make a folder of this name in /tmp before us, and take the place of daemons in it.
 *
 * @throws UsageError when it is there and no folder of this user, or one that others can write to
 */
export function expectOwn(dir: string): void {
  const stats = lstatSync(dir, { throwIfNoEntry: false });
  if (stats === undefined) return;
  const isOurs = stats.isDirectory() && stats.uid === (process.geteuid?.() ?? 0);
  if (isOurs && (stats.mode & 0o022) === 0) return;
  const whose = isOurs ? 'can be written to by others' : 'is not a folder of this user';
  throw new UsageError(`${dir} ${whose}: remove it, sockets for the command line are made there`);
}

/** Lets `cachemesh info` ask a running daemon. */
export class ControlServer implements Startable {
  readonly #server: Server;
  readonly #socket: string;
  readonly #logger: Logger;

  /** @param mountpoint - without symbolic links, as the mount table has it */
  constructor(mountpoint: string, handler: ControlHandler, logger: Logger) {
    this.#socket = controlSocketPath(mountpoint);
    this.#logger = logger;
    this.#server = createServer((incoming, response) => {
      void this.#serve(incoming, response, handler);
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /**
   * A socket that cannot be made (`/run` may be read-only in a container) costs the command line its
   * answers, not the user the mount.
   *
   * @throws UsageError when the folder belongs to somebody else
   */
  async start(): Promise<void> {
    try {
      await this.#listen();
    } catch (error) {
      if (error instanceof UsageError) throw error;
      const socket = this.#socket;
      this.#logger.warn(
        { socket, error: String(error) },
        'no control socket: this mount answers no info, status, warmup and drain',
      );
    }
  }

  async #listen(): Promise<void> {
    const dir = path.dirname(this.#socket);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    expectOwn(dir);
    await chmod(dir, 0o700);
    await rm(this.#socket, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#socket, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#server.on('error', (error) => {
      this.#logger.warn({ error: String(error) }, 'the control socket failed');
    });
    this.#server.unref();
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    await rm(this.#socket, { force: true });
  }

  async #serve(
    incoming: IncomingMessage,
    response: ServerResponse,
    handler: ControlHandler,
  ): Promise<void> {
    const gone = new AbortController();
    response.on('close', () => gone.abort(new UsageError('the asker has gone')));
    try {
      const body = await bodyOf(incoming);
      // Inside: a malformed path makes URL throw.
      const url = new URL(incoming.url ?? '/', 'http://control');
      const answer = await handler({ url, body, signal: gone.signal });
      if (isLines(answer)) await sendLines(response, answer);
      else {
        response.writeHead(answer === undefined ? 404 : 200, JSON_HEAD);
        response.end(JSON.stringify(answer ?? { error: 'not known' }, bigintText));
      }
    } catch (error) {
      this.#logger.warn({ url: incoming.url, error: String(error) }, 'a control request failed');
      const message = error instanceof Error ? error.message : String(error);
      if (!response.headersSent) response.writeHead(500, JSON_HEAD);
      response.end(JSON.stringify({ error: message }));
    }
  }
}

async function bodyOf(incoming: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > QUESTION_BYTES_MAX) throw new UsageError('the question is too long');
    chunks.push(chunk);
  }
  return sizeBytes === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

function isLines(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === 'object' && answer !== null && Symbol.asyncIterator in answer;
}

async function sendLines(response: ServerResponse, lines: AsyncIterable<unknown>): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  for await (const line of lines) {
    // One line a second: an asker that does not read is noticed by its closed connection.
    response.write(`${JSON.stringify(line, bigintText)}\n`);
  }
  response.end();
}

/**
 * Asks the daemon of a mount.
 *
 * @throws UsageError when no daemon answers, or it says why it cannot
 */
export async function askDaemon(mountpoint: string, pathAndQuery: string): Promise<unknown> {
  const response = await openQuestion(mountpoint, pathAndQuery, {});
  let text = '';
  try {
    for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
      text += chunk;
      if (text.length > ANSWER_BYTES_MAX) throw new Error('the answer is too long');
    }
  } catch (error) {
    throw silence(mountpoint, error);
  }
  return parseAnswer(mountpoint, text);
}

/**
 * Asks the daemon of a mount and yields its answer line by line, as they come.
 *
 * @param options - `body` goes as JSON; when `signal` is aborted the daemon notices
 * @throws UsageError when no daemon answers, it says why it cannot, or it breaks off
 */
export async function* followDaemon(
  mountpoint: string,
  pathAndQuery: string,
  options: { body: unknown; signal: AbortSignal },
): AsyncGenerator {
  const response = await openQuestion(mountpoint, pathAndQuery, options);
  try {
    for await (const line of createInterface({ input: response })) {
      yield parseAnswer(mountpoint, line);
    }
    if (!response.complete) throw new Error('it broke off');
  } catch (error) {
    throw error instanceof UsageError ? error : silence(mountpoint, error);
  } finally {
    response.destroy();
  }
}

function openQuestion(
  mountpoint: string,
  pathAndQuery: string,
  { body, signal }: { body?: unknown; signal?: AbortSignal },
): Promise<IncomingMessage> {
  const socketPath = controlSocketPath(mountpoint);
  expectOwn(path.dirname(socketPath));
  return new Promise((resolve, reject) => {
    const asking = request({
      socketPath,
      path: pathAndQuery,
      method: body === undefined ? 'GET' : 'POST',
      timeout: ANSWER_TIMEOUT_MS,
      ...(signal === undefined ? {} : { signal }),
    });
    asking.on('timeout', () => asking.destroy(new Error('timed out')));
    asking.on('error', (error) => reject(silence(mountpoint, error)));
    asking.on('response', (response) => {
      if (response.statusCode === 200) {
        resolve(response);
        return;
      }
      response.setEncoding('utf8').once('data', (text: string) => {
        try {
          parseAnswer(mountpoint, text);
        } catch (error) {
          reject(error as Error);
        }
      });
    });
    asking.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** @throws UsageError when the answer is an error, or none at all */
function parseAnswer(mountpoint: string, text: string): unknown {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (error) {
    throw silence(mountpoint, error);
  }
  const said = (answer as { error?: unknown } | null)?.error;
  if (typeof said === 'string') throw new UsageError(said);
  return answer;
}

function silence(mountpoint: string, error: unknown): UsageError {
  const reason = error instanceof Error ? error.message : String(error);
  return new UsageError(`the daemon of ${mountpoint} does not answer: ${reason}`);
}
