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
/** The script's name at the server. */
export const LOOKUP_SHA = createHash('sha1').update(SOURCE).digest('hex');

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
 * Why the script told nothing: `denied` when the server does not let us run scripts at all, `failed`
 * when it broke off this time (a key of a wrong type, a server that is short of memory).
 */
export type ScriptFailure = 'denied' | 'failed';

/** Replies that will be the same for every script. */
const DENIED = /^NOPERM|^ERR unknown command|^ERR This Redis command is not allowed/i;

/**
 * Runs the script, which the server forgets when it restarts: then it is sent along.
 *
 * @returns `missing` for a name that is not there
 */
export async function runLookupScript(
  client: RedisClient,
  keys: LookupKeys,
): Promise<StoredEntry | 'missing' | ScriptFailure> {
  const { directory, name, attrPrefix } = keys;
  try {
    return toEntry(
      await client.callBuffer('EVALSHA', LOOKUP_SHA, '1', directory, name, attrPrefix),
    );
  } catch (error) {
    const { message } = failureOf(error);
    if (!message.startsWith('NOSCRIPT')) return DENIED.test(message) ? 'denied' : 'failed';
  }
  try {
    return toEntry(await client.callBuffer('EVAL', SOURCE, '1', directory, name, attrPrefix));
  } catch (error) {
    return DENIED.test(failureOf(error).message) ? 'denied' : 'failed';
  }
}

/** @throws the error itself when it says nothing about the script */
function failureOf(error: unknown): Error {
  if (!isErrorReply(error) || toMetaError(error).retryable) throw error;
  return error;
}

/** Makes the script known to the server. @throws what the client throws, also when it is denied */
export async function loadLookupScript(client: RedisClient): Promise<void> {
  await client.call('SCRIPT', 'LOAD', SOURCE);
}

function toEntry(reply: unknown): StoredEntry | 'missing' | 'failed' {
  if (reply === null) return 'missing';
  if (!Array.isArray(reply)) return 'failed';
  const [edge, attr] = reply as unknown[];
  if (!Buffer.isBuffer(edge)) return 'failed';
  return {
    edge,
    attr: Buffer.isBuffer(attr) ? attr : undefined,
    attrWasRead: reply.length > 1,
  };
}
