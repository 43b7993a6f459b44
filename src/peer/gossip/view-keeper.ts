import type { NodeId } from '../../block/node-id.ts';
import type { GroupView, Member } from '../block-exchange.ts';
import { EPOCH_MAX } from './gossip-message.ts';
import { isPresent } from './member-record.ts';
import type { MemberTable } from './member-table.ts';
import { followerOf, type SortedMembers, withChanges } from './sorted-members.ts';

/**
 * A higher number is taken for this one: whoever says it, by a bug, must not bring all others to where
 * they can count no further.
 */
const HEARD_MAX = EPOCH_MAX - 2 ** 32;

const NOBODY: SortedMembers = [];

/** Those that answer, and those that do not at present. */
interface Lists {
  readonly members: SortedMembers;
  readonly suspected: SortedMembers;
}

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

  /** @param parts - `isDoubted`: whether this node passes a member over */
  constructor(parts: {
    self: NodeId;
    table: MemberTable;
    isDoubted: (node: NodeId) => boolean;
  }) {
    this.#self = parts.self;
    this.#table = parts.table;
    this.#isDoubted = parts.isDoubted;
    const nodes = parts.table.present().map(({ member }) => member.nodeId);
    this.#view = viewOf(this.#look(nodes, { members: NOBODY, suspected: NOBODY }), 1);
  }

  get view(): GroupView {
    return this.#view;
  }

  /**
   * The next member in the order of names, of those that this node counts on. Where all know the same, each
   * member follows one other.
   */
  get follower(): NodeId | undefined {
    return followerOf(this.#view.members, this.#self);
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

  /**
   * Looks at some members again.
   *
   * @param nodes - of whom what is known, or our doubt, has changed
   * @param joinedMs - since when the group counts on us, if that is new
   */
  refresh(nodes: Iterable<NodeId>, joinedMs = this.#view.joinedMs): void {
    const { members, suspected = NOBODY } = this.#view;
    const next = this.#look(nodes, { members, suspected });
    const isAlone = next.members.length + next.suspected.length <= 1;
    const since = isAlone ? undefined : joinedMs;
    const isSame = next.members === members && next.suspected === suspected;
    if (isSame && since === this.#view.joinedMs) return;
    const epoch = Math.max(this.#view.epoch, this.#heardEpoch) + (isSame ? 0 : 1);
    this.#view = viewOf(next, epoch, since);
    for (const onChange of this.#subscribers) onChange(this.#view);
  }

  #look(nodes: Iterable<NodeId>, { members, suspected }: Lists): Lists {
    const up = new Map<NodeId, Member | undefined>();
    const away = new Map<NodeId, Member | undefined>();
    for (const node of nodes) {
      const record = this.#table.get(node);
      const member = record !== undefined && isPresent(record) ? record.member : undefined;
      const isAway = node !== this.#self && (record?.state === 'suspect' || this.#isDoubted(node));
      up.set(node, isAway ? undefined : member);
      away.set(node, isAway ? member : undefined);
    }
    return { members: withChanges(members, up), suspected: withChanges(suspected, away) };
  }
}

function viewOf({ members, suspected }: Lists, epoch: number, joinedMs?: number): GroupView {
  if (suspected.length === 0) return { epoch, members, joinedMs };
  return { epoch, members, suspected, joinedMs };
}
