import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Logger } from '../runtime/logger.ts';
import type { Startable } from '../runtime/startable.ts';
import { UsageError } from './quantities.ts';

const ANSWER_BYTES_MAX = 64 * 2 ** 20;
const ANSWER_TIMEOUT_MS = 30_000;

/** Answers one question of the command line; undefined when it does not know the path. */
export type ControlHandler = (url: URL) => Promise<unknown>;

/** Where the daemon of a mount listens for the command line: a socket that only its user can open. */
export function controlSocketPath(mountpoint: string): string {
  const uid = process.getuid?.() ?? 0;
  const base = uid === 0 ? '/run/cachemesh' : path.join(tmpdir(), `cachemesh-${uid}`);
  const name = createHash('sha256').update(mountpoint).digest('hex').slice(0, 24);
  return path.join(base, `${name}.sock`);
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
      // Inside the promise: a malformed path makes URL throw.
      const asked = async () => handler(new URL(incoming.url ?? '/', 'http://control'));
      asked().then(
        (answer) => {
          response.writeHead(answer === undefined ? 404 : 200, {
            'content-type': 'application/json',
          });
          response.end(JSON.stringify(answer ?? { error: 'not known' }, plainNumbers));
        },
        (error: unknown) => {
          logger.warn({ url: incoming.url, error: String(error) }, 'a control request failed');
          const message = error instanceof Error ? error.message : String(error);
          response.writeHead(500).end(JSON.stringify({ error: message }));
        },
      );
    });
    this.#server.maxConnections = 16;
  }

  async start(): Promise<void> {
    await mkdir(path.dirname(this.#socket), { recursive: true, mode: 0o700 });
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
}

/**
 * Asks the daemon of a mount.
 *
 * @throws UsageError when no daemon answers, or it says why it cannot
 */
export function askDaemon(mountpoint: string, pathAndQuery: string): Promise<unknown> {
  const socketPath = controlSocketPath(mountpoint);
  return new Promise((resolve, reject) => {
    const fail = (reason: string) =>
      reject(new UsageError(`the daemon of ${mountpoint} does not answer: ${reason}`));
    const options = { socketPath, path: pathAndQuery, timeout: ANSWER_TIMEOUT_MS };
    const asking = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > ANSWER_BYTES_MAX) asking.destroy(new Error('the answer is too long'));
      });
      response.on('end', () => {
        try {
          const answer = JSON.parse(text) as { error?: string };
          if (response.statusCode === 200) resolve(answer);
          else reject(new UsageError(answer.error ?? `status ${response.statusCode}`));
        } catch (error) {
          fail(String(error));
        }
      });
    });
    asking.on('timeout', () => asking.destroy(new Error('timed out')));
    asking.on('error', (error) => fail(error.message));
    asking.end();
  });
}

function plainNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
