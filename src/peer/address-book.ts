import type { NodeId } from '../block/node-id.ts';

/** By which multiaddrs nodes can be dialled. */
export class AddressBook {
  readonly #addresses = new Map<NodeId, readonly string[]>();

  /** Replaces what is known of a node. */
  set(node: NodeId, addresses: readonly string[]): void {
    this.#addresses.set(node, addresses);
  }

  /** Forgets a node. */
  delete(node: NodeId): void {
    this.#addresses.delete(node);
  }

  /** Empty when the node is not known. */
  get(node: NodeId): readonly string[] {
    return this.#addresses.get(node) ?? [];
  }
}
