import type { NodeId } from '../../block/node-id.ts';
import type { GroupView, Member } from '../block-exchange.ts';
import { EPOCH_MAX } from './gossip-message.ts';
import type { MemberRecord } from './member-record.ts';
import type { MemberTable } from './member-table.ts';

/**
 * A higher number is taken for this one: whoever says it, by a bug, must not bring all others to where
 * they can count no further.
 */
const HEARD_MAX = EPOCH_MAX - 2 ** 32;

/**
 * The group as this node sees it, from what all know and its own doubts.
 *
 * The epoch is a Lamport clock: each change of a view gives it a number above all that were heard of,
 * and members with the same records take over the highest. So at rest all have the same, and a node
 * whose number is behind has not heard of the latest change.
 */
export class ViewKeeper {
  readonly #self: NodeId;
  readonly #table: MemberTable;
  readonly #isDoubted: (node: NodeId) => boolean;
  readonly #subscribers = new Set<(view: GroupView) => void>();
  #view: GroupView;
  #heardEpoch = 0;
  #order: readonly NodeId[] = [];

  /** @param parts - `isDoubted`: whether this node passes a member over */
  constructor(parts: {
    self: NodeId;
    table: MemberTable;
    isDoubted: (node: NodeId) => boolean;
  }) {
    this.#self = parts.self;
    this.#table = parts.table;
    this.#isDoubted = parts.isDoubted;
    this.#view = { epoch: 1, ...this.#look() };
  }

  get view(): GroupView {
    return this.#view;
  }

  /** Calls `onChange` after each change of the view; the function returned ends it. */
  subscribe(onChange: (view: GroupView) => void): () => void {
    this.#subscribers.add(onChange);
    return () => void this.#subscribers.delete(onChange);
  }

  /** Another member's view has this number. @param isSame - its records are the same as ours */
  heardEpoch(epoch: number, isSame: boolean): void {
    const heard = Math.min(epoch, HEARD_MAX);
    this.#heardEpoch = Math.max(this.#heardEpoch, heard);
    // Nobody needs to be told: the members are the same.
    if (isSame && heard > this.#view.epoch) this.#view = { ...this.#view, epoch: heard };
  }

  /** Looks at the table again. @param joinedMs - since when the group counts on us, if that is new */
  refresh(joinedMs = this.#view.joinedMs): void {
    const next = this.#look();
    const isAlone = next.members.length + (next.suspected?.length ?? 0) <= 1;
    const since = isAlone ? undefined : joinedMs;
    const { members, suspected } = this.#view;
    const isSame = isSameList(next.members, members) && isSameList(next.suspected, suspected);
    if (isSame && since === this.#view.joinedMs) return;
    const epoch = Math.max(this.#view.epoch, this.#heardEpoch) + (isSame ? 0 : 1);
    this.#view = { epoch, ...next, joinedMs: since };
    for (const onChange of this.#subscribers) onChange(this.#view);
  }

  #look(): Pick<GroupView, 'members' | 'suspected'> {
    const members: Member[] = [];
    const suspected: Member[] = [];
    for (const { member, state } of this.#sorted()) {
      const isAway = state === 'suspect' || this.#isDoubted(member.nodeId);
      (isAway && member.nodeId !== this.#self ? suspected : members).push(member);
    }
    return suspected.length === 0 ? { members } : { members, suspected };
  }

  /** By node id in plain code unit order, so that all nodes list their members alike. */
  #sorted(): MemberRecord[] {
    const rest = new Map(this.#table.present().map((record) => [record.member.nodeId, record]));
    const sorted: MemberRecord[] = [];
    // In the order of last time, which leaves little to be sorted.
    for (const node of this.#order) {
      const record = rest.get(node);
      if (record === undefined) continue;
      rest.delete(node);
      sorted.push(record);
    }
    if (rest.size > 0) {
      sorted.push(...rest.values());
      sorted.sort((a, b) => (a.member.nodeId < b.member.nodeId ? -1 : 1));
    }
    this.#order = sorted.map(({ member }) => member.nodeId);
    return sorted;
  }
}

/** Members are never changed: a member that says something new of itself is another object. */
function isSameList(one: readonly Member[] = [], other: readonly Member[] = []): boolean {
  return one.length === other.length && one.every((member, at) => member === other[at]);
}
