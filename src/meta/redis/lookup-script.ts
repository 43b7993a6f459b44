import { createHash } from 'node:crypto';
import type { RedisClient } from './redis-connect.ts';
import { isErrorReply, toMetaError } from './redis-errors.ts';

/**
 * The edge of a name and the attribute behind it, in one round trip instead of two.
 * KEYS: directory; ARGV: name, first part of attribute keys. Lua's numbers are exact up to 2^53
 * only: for greater inodes (the trash) the edge comes alone and the caller asks for the attribute.
 * Attribute keys are computed, which a cluster allows as all keys of a volume are in one slot.
 */
const SOURCE = `
local edge = redis.call('HGET', KEYS[1], ARGV[1])
if not edge then return false end
if #edge ~= 9 then return {edge} end
local high, ino = 0, 0
for at = 2, 9 do ino = ino * 256 + string.byte(edge, at) end
if ino > 4503599627370495 then return {edge} end
return {edge, redis.call('GET', ARGV[2] .. string.format('%.f', ino))}
`;
const SHA = createHash('sha1').update(SOURCE).digest('hex');

/** What the server says about a name. */
export interface StoredEntry {
  readonly edge: Buffer;
  /** Undefined when the inode has none. */
  readonly attr: Buffer | undefined;
  /** False when the attribute was not asked for. */
  readonly attrWasRead: boolean;
}

/** Where to look. */
export interface LookupKeys {
  readonly directory: string;
  readonly name: Buffer;
  /** First part of the keys of attributes. */
  readonly attrPrefix: string;
}

/**
 * Runs the script, which the server forgets when it restarts: then it is sent along.
 *
 * @returns `missing` for a name that is not there, `denied` when the server does not let us run
 *   scripts
 */
export async function runLookupScript(
  client: RedisClient,
  keys: LookupKeys,
): Promise<StoredEntry | 'missing' | 'denied'> {
  const { directory, name, attrPrefix } = keys;
  try {
    return toEntry(await client.callBuffer('EVALSHA', SHA, '1', directory, name, attrPrefix));
  } catch (error) {
    if (!isErrorReply(error) || toMetaError(error).retryable) throw error;
    if (!error.message.startsWith('NOSCRIPT')) return 'denied';
  }
  try {
    return toEntry(await client.callBuffer('EVAL', SOURCE, '1', directory, name, attrPrefix));
  } catch (error) {
    if (!isErrorReply(error) || toMetaError(error).retryable) throw error;
    return 'denied';
  }
}

function toEntry(reply: unknown): StoredEntry | 'missing' | 'denied' {
  if (reply === null) return 'missing';
  if (!Array.isArray(reply)) return 'denied';
  const [edge, attr] = reply as unknown[];
  if (!Buffer.isBuffer(edge)) return 'denied';
  return {
    edge,
    attr: Buffer.isBuffer(attr) ? attr : undefined,
    attrWasRead: reply.length > 1,
  };
}
