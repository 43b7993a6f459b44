import type { NodeId } from '../block/node-id.ts';

/** By which multiaddrs nodes can be dialled. */
export class AddressBook {
  readonly #addresses = new Map<NodeId, readonly string[]>();
  #ofMember: (node: NodeId) => readonly string[] | undefined = () => undefined;

  /** Where addresses of members come from: the membership; undefined: no member. */
  follow(ofMember: (node: NodeId) => readonly string[] | undefined): void {
    this.#ofMember = ofMember;
  }

  /** Replaces what is known of a node that is no member. */
  set(node: NodeId, addresses: readonly string[]): void {
    this.#addresses.set(node, addresses);
  }

  /** Empty when the node is not known. */
  get(node: NodeId): readonly string[] {
    return this.#ofMember(node) ?? this.#addresses.get(node) ?? [];
  }
}
