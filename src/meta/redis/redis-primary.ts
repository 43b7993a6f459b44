import { MetaError } from '../engine.ts';
import type { RedisLink } from './redis-link.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { RedisUrl } from './redis-url.ts';

/**
 * Where transactions of a volume are to connect to: in a cluster, the node that has its keys, which
 * are all in one slot.
 *
 * @throws MetaError `unavailable`
 */
export async function primaryOf(
  url: RedisUrl,
  { link, keys }: { link: RedisLink; keys: RedisKeys },
  signal: AbortSignal,
): Promise<RedisUrl> {
  if (url.place.kind !== 'cluster') return url;
  const name = { op: 'findPrimary', target: keys.setting };
  const [slot, ranges] = await link.run(name, signal, (client) =>
    Promise.all([client.cluster('KEYSLOT', keys.setting), client.cluster('SLOTS')]),
  );
  const at = nodeOf(Number(slot), ranges);
  if (at === undefined) {
    throw new MetaError('unavailable', `Redis: no node has slot ${slot}`, { retryable: true });
  }
  // Databases other than 0 do not exist there; the number is in the keys.
  return { ...url, db: 0, place: { kind: 'single', at } };
}

/** @see https://redis.io/docs/latest/commands/cluster-slots/ */
function nodeOf(slot: number, ranges: unknown): { host: string; port: number } | undefined {
  if (!Array.isArray(ranges)) return undefined;
  for (const range of ranges as unknown[]) {
    if (!Array.isArray(range)) continue;
    const [first, last, primary] = range as unknown[];
    if (Number(first) > slot || slot > Number(last) || !Array.isArray(primary)) continue;
    const [host, port] = primary as unknown[];
    return { host: String(host), port: Number(port) };
  }
  return undefined;
}
