import { hashText } from '../../runtime/stable-hash.ts';
import type { Member } from '../block-exchange.ts';

/**
 * How the group sees a member. `suspect`: it did not answer somebody whom others confirmed; `dead`:
 * a suspect that did not object in time; `left`: it has said goodbye.
 */
export type MemberState = 'alive' | 'suspect' | 'dead' | 'left';

/** In the order in which they overrule each other within one incarnation. */
export const MEMBER_STATES: readonly MemberState[] = ['alive', 'suspect', 'dead', 'left'];

/** Far beyond any wall clock in milliseconds; a member can always name a higher one than it heard. */
export const INCARNATION_MAX = 2 ** 52;

/** What is told of a member. Immutable. */
export interface MemberRecord {
  readonly member: Member;
  /** Raised by the member itself only: when it starts, changes, or objects to what is said of it. */
  readonly incarnation: number;
  readonly state: MemberState;
}

/** What has become known of a member. */
export interface MemberNews {
  readonly record: MemberRecord;
  /** What was known of it before. */
  readonly before: MemberRecord | undefined;
}

/** Hash of records, in two halves; all nodes with equal records have equal ones. */
export interface RecordHash {
  readonly low: number;
  readonly high: number;
}

/**
 * Whether `one` is to replace `other`, a record of the same member. A total order: whoever has heard
 * the same records, in whichever order and however often, ends up with the same one.
 */
export function supersedes(one: MemberRecord, other: MemberRecord): boolean {
  if (one.incarnation !== other.incarnation) return one.incarnation > other.incarnation;
  const ranks = MEMBER_STATES.indexOf(one.state) - MEMBER_STATES.indexOf(other.state);
  if (ranks !== 0) return ranks > 0;
  // Its member says one thing per incarnation; should it not, all must still choose alike.
  return one.member !== other.member && contentOf(one) > contentOf(other);
}

/** Whether two records of a member say the same, to the last label. */
export function saysTheSame(one: MemberRecord, other: MemberRecord): boolean {
  if (one.incarnation !== other.incarnation || one.state !== other.state) return false;
  return one.member === other.member || contentOf(one) === contentOf(other);
}

/** Whether a member with this record has a place in the ring. */
export function isPresent({ state }: MemberRecord): boolean {
  return state === 'alive' || state === 'suspect';
}

/** Two independent hashes over all of a record. */
export function hashRecord(record: MemberRecord): RecordHash {
  const { member, incarnation, state } = record;
  const text = `${member.nodeId} ${incarnation} ${state} ${contentOf(record)}`;
  return { low: hashText(text, 1), high: hashText(text, 2) };
}

function contentOf({ member }: MemberRecord): string {
  const { addresses, weight, zone, version, startedAtMs } = member;
  return JSON.stringify([addresses, weight, zone, version, startedAtMs]);
}
