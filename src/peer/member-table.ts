import type { NodeId } from '../block/node-id.ts';
import type { GroupView, Member } from './block-exchange.ts';

/** A member as this node knows it. */
export interface KnownMember {
  readonly member: Member;
  /** Whether it is out of the view until it answers again. */
  readonly suspected: boolean;
  /** When it last answered, on the clock that goes on. */
  readonly heardMs: number;
}

/** Members at most; more are not taken in. */
export const MEMBERS_MAX = 8192;

/**
 * Who is in the group, and what follows from it: the view of those that answer. Pure bookkeeping;
 * the epoch grows exactly when the view changes.
 */
export class MemberTable {
  #self: Member;
  readonly #known = new Map<NodeId, KnownMember>();
  readonly #subscribers = new Set<(view: GroupView) => void>();
  #view: GroupView;

  constructor(self: Member) {
    this.#self = self;
    this.#view = { epoch: 1, members: [self] };
  }

  /** Ourselves. */
  get self(): Member {
    return this.#self;
  }

  /** The present view; members by node id. */
  get view(): GroupView {
    return this.#view;
  }

  /** Everyone but ourselves, suspected members included. */
  known(): KnownMember[] {
    return [...this.#known.values()];
  }

  get(node: NodeId): KnownMember | undefined {
    return this.#known.get(node);
  }

  /** Calls `onChange` after each change of the view; the function returned ends it. */
  subscribe(onChange: (view: GroupView) => void): () => void {
    this.#subscribers.add(onChange);
    return () => void this.#subscribers.delete(onChange);
  }

  /** Changes what we say of ourselves. */
  setSelf(self: Member): void {
    this.#self = self;
    this.#refresh();
  }

  /** A member has answered or said hello. */
  hear(member: Member, nowMs: number): void {
    if (member.nodeId === this.#self.nodeId) return;
    if (this.#known.size >= MEMBERS_MAX && !this.#known.has(member.nodeId)) return;
    this.#known.set(member.nodeId, { member, suspected: false, heardMs: nowMs });
    this.#refresh();
  }

  /** Takes a member out of the view. @returns whether it was in */
  suspect(node: NodeId): boolean {
    const known = this.#known.get(node);
    if (known === undefined || known.suspected) return false;
    this.#known.set(node, { ...known, suspected: true });
    this.#refresh();
    return true;
  }

  /** Forgets a member. */
  remove(node: NodeId): void {
    if (this.#known.delete(node)) this.#refresh();
  }

  #refresh(): void {
    const present = this.known()
      .filter(({ suspected }) => !suspected)
      .map(({ member }) => member);
    // Plain code unit order, so that all nodes list their members alike.
    const members = [this.#self, ...present].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
    if (isSame(members, this.#view.members)) return;
    const view = { epoch: this.#view.epoch + 1, members };
    this.#view = view;
    for (const onChange of this.#subscribers) onChange(view);
  }
}

function isSame(left: readonly Member[], right: readonly Member[]): boolean {
  return (
    left.length === right.length &&
    left.every((member, index) => {
      const other = right[index] as Member;
      return (
        member.nodeId === other.nodeId &&
        member.weight === other.weight &&
        member.addresses.join() === other.addresses.join()
      );
    })
  );
}
