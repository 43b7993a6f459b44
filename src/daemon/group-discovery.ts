import { toNodeId } from '../block/node-id.ts';
import type { MetaSessions } from '../meta/engine.ts';
import type { SessionMember, SessionRecord } from '../meta/session.ts';
import type { Member } from '../peer/block-exchange.ts';
import type { Clock } from '../runtime/clock.ts';

/** Finds the members of a cache group among the sessions of the volume: no configuration needed. */
export class GroupDiscovery {
  readonly #sessions: MetaSessions;
  readonly #group: string;
  readonly #clock: Clock;

  constructor(sessions: MetaSessions, group: string, clock: Clock) {
    this.#sessions = sessions;
    this.#group = group;
    this.#clock = clock;
  }

  /** Members with a session that has not expired, ourselves included. */
  async list(signal: AbortSignal): Promise<Member[]> {
    const records = await this.#sessions.listSessions(signal);
    return membersOf(records, this.#group, this.#clock.wallMs());
  }
}

/** The members of `group` among live sessions. What makes no sense is passed over. */
export function membersOf(
  records: readonly SessionRecord[],
  group: string,
  wallMs: number,
): Member[] {
  const members = new Map<string, Member>();
  for (const record of records) {
    const member = record.info?.CacheMesh;
    if (record.expiresAtMs < wallMs || !isMember(member) || member.Group !== group) continue;
    members.set(member.PeerId, {
      nodeId: toNodeId(member.PeerId),
      addresses: member.Addrs,
      weight: member.NoSharing ? 0 : member.Weight,
    });
  }
  return [...members.values()];
}

/** A session's JSON is anybody's: nothing in it is believed before it was looked at. */
function isMember(member: SessionMember | undefined): member is SessionMember {
  return (
    typeof member === 'object' &&
    typeof member.PeerId === 'string' &&
    Array.isArray(member.Addrs) &&
    member.Addrs.every((address) => typeof address === 'string') &&
    Number.isFinite(member.Weight) &&
    member.Weight >= 0
  );
}
