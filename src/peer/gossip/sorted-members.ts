import type { NodeId } from '../../block/node-id.ts';
import type { Member } from '../block-exchange.ts';

/** Members by node id in plain code unit order, each once: all nodes list the same ones alike. */
export type SortedMembers = readonly Member[];

/**
 * The list with some members replaced, added, or taken out (undefined). Costs as much as copying the list,
 * and what is looked up: in a large group a change is of few.
 *
 * @returns the same list when that changes nothing
 */
export function withChanges(
  members: SortedMembers,
  changes: ReadonlyMap<NodeId, Member | undefined>,
): SortedMembers {
  let changed: Member[] | undefined;
  for (const [node, member] of changes) {
    const list: SortedMembers = changed ?? members;
    const place = placeOf(list, node);
    const known = list[place]?.nodeId === node ? list[place] : undefined;
    // Members are never changed: one that says something new of itself is another object.
    if (known === member) continue;
    changed ??= members.slice();
    changed.splice(place, known === undefined ? 0 : 1, ...(member === undefined ? [] : [member]));
  }
  return changed ?? members;
}

/** Who follows a node in the list, the first after the last; undefined when nobody else is in it. */
export function followerOf(members: SortedMembers, node: NodeId): NodeId | undefined {
  const place = placeOf(members, node);
  const next = members[place]?.nodeId === node ? place + 1 : place;
  const follower = (members[next] ?? members[0])?.nodeId;
  return follower === node ? undefined : follower;
}

/** Where a node is, or would be put in. */
function placeOf(members: SortedMembers, node: NodeId): number {
  let [from, to] = [0, members.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((members[middle] as Member).nodeId < node) from = middle + 1;
    else to = middle;
  }
  return from;
}
