import { execFile } from 'node:child_process';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import { makeTempDir } from './temp.ts';
import { waitUntil } from './wait-until.ts';

const run = promisify(execFile);

/** How to start a Redis server. */
export interface RedisOptions {
  /** A dump to begin with. It is copied: Redis writes its own dump when it is restarted. */
  readonly dumpPath?: string;
  /** Asks clients for this password (`requirepass`). */
  readonly password?: string;
  /** Loopback port; a free one unless told. */
  readonly port?: number;
  /** More arguments, for example `['--maxmemory', '10mb']`. */
  readonly args?: readonly string[];
}

/** A real Redis server on a loopback port and a Unix socket, with its files in a temp folder. */
export interface RedisServer {
  readonly host: string;
  readonly port: number;
  readonly socketPath: string;
  readonly dir: string;
  readonly password: string | undefined;
  /** Database 0 as a volume's metadata URL: `redis://[:PASSWORD@]127.0.0.1:PORT/0`. */
  readonly url: string;
  /** The running process' id, 0 while it is stopped. */
  pid(): number;
  /** Runs a command through redis-cli and gives its printed answer without the last newline. */
  command(...words: readonly string[]): Promise<string>;
  /** Starts it again on the same port with the data of its last save. */
  start(): Promise<void>;
  /** Ends it in order. With `save`, its data is there again after {@link start}. */
  stop(options?: { readonly save?: boolean }): Promise<void>;
  /** Ends it as a crash would: nothing is saved, clients see a closed connection. */
  kill(): Promise<void>;
  /** Saves, stops and starts again on the same port. */
  restart(): Promise<void>;
  /** Freezes the process: connections stay open and get no answer. */
  freeze(): void;
  /** Lets it go on after {@link freeze}. */
  thaw(): void;
}

const PORT_TAKEN = /Address already in use/;
const PORTS_TRIED = 3;

/**
 * Starts a Redis server and waits until it answers.
 *
 * @throws Error when redis-server is not installed or does not come up; its log is the message
 */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const dir = await makeTempDir('redis');
  if (options.dumpPath !== undefined) await copyFile(options.dumpPath, join(dir, 'dump.rdb'));
  for (let left = PORTS_TRIED - 1; ; left -= 1) {
    const server = redisIn(dir, options.port ?? (await freePort()), options);
    try {
      await server.start();
      return server;
    } catch (error) {
      // Another test took the port in the moment between.
      const isTaken = error instanceof Error && PORT_TAKEN.test(error.message);
      if (!isTaken || options.port !== undefined || left === 0) throw error;
    }
  }
}

function redisIn(dir: string, port: number, options: RedisOptions): RedisServer {
  const { password } = options;
  const socketPath = join(dir, 'redis.sock');
  const login = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
  let running: ServerProcess | undefined;

  const command = async (...words: readonly string[]): Promise<string> => {
    const auth = password === undefined ? [] : ['-a', password, '--no-auth-warning'];
    const { stdout } = await run('redis-cli', ['-s', socketPath, ...auth, ...words]);
    return stdout.replace(/\n$/, '');
  };
  const stop = async (how?: { readonly save?: boolean }): Promise<void> => {
    if (how?.save) await command('SAVE');
    await running?.stop();
    running = undefined;
  };
  const start = async (): Promise<void> => {
    running = await launchRedis({ dir, port, socketPath, options });
    await waitUntil(`Redis on port ${port}`, async () => {
      // Waiting for a program that is gone would only hide its own words about the reason.
      return running?.ended() !== undefined || (await command('PING')) === 'PONG';
    });
    if (running.ended() !== undefined) throw new Error(`redis-server ended: ${running.output()}`);
  };
  return {
    host: '127.0.0.1',
    port,
    socketPath,
    dir,
    password,
    url: `redis://${login}127.0.0.1:${port}/0`,
    pid: () => running?.pid ?? 0,
    command,
    start,
    stop,
    kill: async () => {
      await running?.stop('SIGKILL');
      running = undefined;
    },
    restart: async () => {
      await stop({ save: true });
      await start();
    },
    freeze: () => void (running && process.kill(running.pid, 'SIGSTOP')),
    thaw: () => void (running && process.kill(running.pid, 'SIGCONT')),
  };
}

function launchRedis(where: {
  dir: string;
  port: number;
  socketPath: string;
  options: RedisOptions;
}): Promise<ServerProcess> {
  const { dir, port, socketPath, options } = where;
  const password = options.password === undefined ? [] : ['--requirepass', options.password];
  return startServer(
    [
      'redis-server',
      ...['--port', String(port), '--bind', '127.0.0.1', '--unixsocket', socketPath],
      // Saved only on demand: a dump at shutdown would make tests slow and surprising.
      ...['--save', '', '--appendonly', 'no', '--dir', dir, '--dbfilename', 'dump.rdb'],
      ...['--daemonize', 'no', ...password, ...(options.args ?? [])],
    ],
    { logPath: join(dir, 'redis.log'), cwd: dir },
  );
}
