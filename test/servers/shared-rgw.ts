import { createConnection, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Rgw, type RgwAddress, startRgw } from './rgw.ts';
import { runDir } from './temp.ts';

/**
 * The one object gateway of a test run. Test files run in processes of their own and end one after
 * the other, so it is started by the process that outlives them all, vitest's main process, as soon
 * as the first test file asks for it over a Unix socket.
 */
const socketPath = (): string => join(runDir(), 'rgw.sock');

const START_ATTEMPTS = 3;
const PAUSE_MS = 3_000;

type Answer = { readonly address: RgwAddress } | { readonly error: string };

/**
 * The address of this run's object gateway, which is started if need be. Tests share it, so each
 * takes a bucket name of its own.
 *
 * @throws Error when it does not come up, or outside of a project whose set-up serves it
 */
export async function sharedRgw(): Promise<RgwAddress> {
  const answer = JSON.parse(await text(createConnection(socketPath()))) as Answer;
  if ('error' in answer) throw new Error(answer.error);
  return answer.address;
}

/**
 * Answers the calls of {@link sharedRgw}. Only vitest's main process calls this.
 *
 * @returns ends the service and the gateway; undefined when another project serves already
 */
export async function serveSharedRgw(): Promise<(() => Promise<void>) | undefined> {
  let starting: Promise<Rgw> | undefined;
  const server = createServer((connection) => {
    connection.on('error', () => connection.destroy());
    // Its start-up has races of its own on a busy machine; a fresh one usually comes up.
    starting ??= insistOnRgw();
    void starting
      .then(
        ({ address }): Answer => ({ address }),
        (error): Answer => ({ error: `the object gateway did not start: ${String(error)}` }),
      )
      .then((answer) => connection.end(JSON.stringify(answer)));
  });
  if (!(await listens(server))) return undefined;
  return async () => {
    server.close();
    await (await starting?.catch(() => undefined))?.stop();
  };
}

/** @throws AggregateError when no attempt comes up */
async function insistOnRgw(): Promise<Rgw> {
  const failures: unknown[] = [];
  for (let attempt = 1; attempt <= START_ATTEMPTS; attempt += 1) {
    try {
      return await startRgw();
    } catch (error) {
      failures.push(error);
      await sleep(attempt * PAUSE_MS);
    }
  }
  throw new AggregateError(failures, failures.map(String).join('; again: '));
}

function listens(server: Server): Promise<boolean> {
  return new Promise((resolve, reject) => {
    server.once('listening', () => resolve(true));
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    );
    server.listen(socketPath());
  });
}
