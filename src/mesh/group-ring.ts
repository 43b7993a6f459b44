import type { BlockId } from '../block/block-key.ts';
import type { NodeId } from '../block/node-id.ts';
import type { GroupView, Membership } from '../peer/block-exchange.ts';
import { HashRing } from '../ring/hash-ring.ts';

/** Who owns which block, as the group looks right now. A change of members is a new ring. */
export class GroupRing {
  /** Ourselves. */
  readonly self: NodeId;
  readonly #unsubscribe: () => void;
  #ring: HashRing;

  /** @param membership - followed until {@link close} */
  constructor(self: NodeId, membership: Membership) {
    this.self = self;
    this.#ring = ringOf(membership.current());
    this.#unsubscribe = membership.subscribe((view) => {
      this.#ring = ringOf(view);
    });
  }

  /** The first `count` owners of a block, best first; empty when nobody owns anything. */
  owners(id: BlockId, count: number): readonly NodeId[] {
    return this.#ring.owners(id, count);
  }

  /** Stops following the membership. */
  close(): void {
    this.#unsubscribe();
  }
}

function ringOf(view: GroupView): HashRing {
  return HashRing.build(view.members, view.epoch);
}
