import type { Clock } from '../../runtime/clock.ts';
import { sessionExpirySeconds } from '../engine-context.ts';
import { MetaError } from '../engine.ts';
import { decodeSessionInfo, encodeSessionInfo } from '../session-codec.ts';
import type { SessionInfo, SessionRecord } from '../session.ts';
import type { RedisClient } from './redis-connect.ts';
import { asBuffer } from './redis-directory.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { RedisLink } from './redis-link.ts';

const SID = /^[0-9]{1,20}$/;

/**
 * Sessions: a sorted set of ids by expiry (Unix seconds), and a hash of what each says of itself.
 * Holding neither locks nor deleted files, ours need none of the other keys of a session.
 */
export class RedisSessions {
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  readonly #clock: Clock;

  constructor(link: RedisLink, keys: RedisKeys, clock: Clock) {
    this.#link = link;
    this.#keys = keys;
    this.#clock = clock;
  }

  /** @see MetaSessions.openSession; a try whose answer is lost wastes a number, which is harmless */
  async openSession(info: SessionInfo, signal: AbortSignal): Promise<bigint> {
    const name = { op: 'openSession', target: info.HostName };
    const sid = await this.#link.run(name, signal, (client) => client.incr(this.#keys.nextSession));
    await this.refreshSession(BigInt(sid), info, signal);
    return BigInt(sid);
  }

  /** How many sessions there are, those that nobody has cleaned up included. */
  count(signal: AbortSignal): Promise<number> {
    return this.#link.run({ op: 'countSessions', target: 'all' }, signal, (client) =>
      client.zcard(this.#keys.allSessions),
    );
  }

  /** @see MetaSessions.refreshSession */
  refreshSession(sid: bigint, info: SessionInfo, signal: AbortSignal): Promise<void> {
    const { allSessions, sessionInfos } = this.#keys;
    const json = asBuffer(encodeSessionInfo(info));
    return this.#link.run({ op: 'refreshSession', target: sid }, signal, (client) =>
      transaction(
        client
          .multi()
          .zadd(allSessions, sessionExpirySeconds(this.#clock), String(sid))
          .hset(sessionInfos, String(sid), json),
      ),
    );
  }

  /** @see MetaSessions.closeSession */
  closeSession(sid: bigint, signal: AbortSignal): Promise<void> {
    const { allSessions, sessionInfos } = this.#keys;
    return this.#link.run({ op: 'closeSession', target: sid }, signal, (client) =>
      transaction(client.multi().hdel(sessionInfos, String(sid)).zrem(allSessions, String(sid))),
    );
  }

  /** @see MetaSessions.listSessions */
  async listSessions(signal: AbortSignal): Promise<SessionRecord[]> {
    const { allSessions, sessionInfos } = this.#keys;
    const name = { op: 'listSessions', target: 'volume' };
    const [scored, infos] = await this.#link.run(name, signal, (client) =>
      Promise.all([
        client.zrange(allSessions, '0', '-1', 'WITHSCORES'),
        client.hgetallBuffer(sessionInfos),
      ]),
    );
    const records: SessionRecord[] = [];
    for (let at = 0; at + 1 < scored.length; at += 2) {
      const sid = scored[at] as string;
      // Whatever else is in the set, it is nobody's session.
      if (!SID.test(sid)) continue;
      const info = Object.hasOwn(infos, sid) ? infos[sid] : undefined;
      records.push({
        sid: BigInt(sid),
        expiresAtMs: Number(scored[at + 1]) * 1000,
        info: info === undefined ? undefined : decodeSessionInfo(info),
      });
    }
    return records;
  }
}

/** Runs the queued commands as one; any of them that fails makes it fail. */
async function transaction(queued: ReturnType<RedisClient['multi']>): Promise<void> {
  const results = await queued.exec();
  if (results === null)
    throw new MetaError('unavailable', 'EXEC gave nothing', { retryable: true });
  for (const [error] of results) {
    if (error !== null) throw error;
  }
}
