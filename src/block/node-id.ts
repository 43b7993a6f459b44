/** The name of a member of a cache group: its libp2p peer id in text. */
export type NodeId = string & { readonly __brand: 'NodeId' };

/** @param text - a libp2p peer id, or any unique name in the simulator */
export function toNodeId(text: string): NodeId {
  return text as NodeId;
}
