import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below the range from which the kernel takes the ports of outgoing connections and of listeners
 * that leave the choice to it (32768 and up): between our look and the server's own listening nobody
 * takes such a port by chance.
 */
const FIRST = 12_000;
const LAST = 31_999;
const TRIES = 200;

/**
 * Loopback TCP ports that nobody listens on, all different.
 *
 * @param count - how many ports
 * @throws Error when none are found
 */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  for (let tries = 0; tries < TRIES && found.size < count; tries += 1) {
    const port = randomInt(FIRST, LAST + 1);
    if (!found.has(port) && (await isFree(port))) found.add(port);
  }
  if (found.size < count) throw new Error(`no ${count} free ports within ${TRIES} tries`);
  return [...found];
}

/** One port of {@link freePorts}. */
export async function freePort(): Promise<number> {
  return (await freePorts(1))[0] as number;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
