import { Redis } from 'ioredis';
import type { RedisClient } from './redis-connect.ts';
import type { RedisLink } from './redis-link.ts';

/** Keys per SCAN. */
const SCAN_COUNT = '10000';

/**
 * Names of keys, page by page. One that is there all the time comes at least once.
 *
 * @param pattern - as SCAN has it
 * @throws MetaError
 */
export async function* scanKeys(
  link: RedisLink,
  pattern: string,
  signal: AbortSignal,
): AsyncIterable<string[]> {
  let [cursor, server, servers] = ['0', 0, 1];
  while (server < servers) {
    const [at, index] = [cursor, server];
    const name = { op: 'scanKeys', target: 'volume' };
    const [next, names] = await link.run(name, signal, (client) => {
      // In a cluster one of them has all keys of the volume, the others have none.
      const all = client instanceof Redis ? [client] : client.nodes('master');
      servers = all.length;
      return scanPage(all[index] ?? client, at, pattern);
    });
    cursor = next;
    if (cursor === '0') server += 1;
    yield names;
  }
}

async function scanPage(
  client: RedisClient,
  cursor: string,
  pattern: string,
): Promise<[next: string, names: string[]]> {
  const reply = await client.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT);
  const [next, names] = reply as [string, string[]];
  return [next, names];
}
