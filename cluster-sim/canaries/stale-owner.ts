import type { OwnerRing } from '../../src/mesh/block-route.ts';
import type { BlockId } from '../../src/block/block-key.ts';
import type { NodeId } from '../../src/block/node-id.ts';
import type { Canary } from './canary.ts';

/** Owners are remembered for ever, so that a changed ring is not seen. */
export const staleOwner: Canary = {
  about: 'a node remembers the owner of each block for ever',
  plant: () => ({ planting: { ring: remembering }, uproot: () => undefined }),
};

function remembering(right: OwnerRing): OwnerRing {
  const known = new Map<string, readonly NodeId[]>();
  return {
    self: right.self,
    owners(id: BlockId, count: number) {
      const name = `${id} ${count}`;
      const owners = known.get(name) ?? right.owners(id, count);
      // While it is alone a node owns everything, which even this one does not keep.
      if (owners.length > 1) known.set(name, owners);
      return owners;
    },
    nearest: (id, count, turn) => right.nearest(id, count, turn),
    formerOwners: (id, count) => right.formerOwners(id, count),
  };
}
