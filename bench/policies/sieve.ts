import type { ReplayCache } from './replay-cache.ts';

interface Node {
  readonly item: number;
  visited: boolean;
  newer: Node | undefined;
  older: Node | undefined;
}

/**
 * SIEVE (Zhang and others, NSDI '24): one queue and a hand that goes from old to new.
 *
 * @param burst - whether the later pieces of the read that missed count as a use, as in a block
 *   cache; the paper's SIEVE sees whole objects, hence one
 */
export function sieveCache(capacity: number, burst: boolean): ReplayCache {
  const nodes = new Map<number, Node>();
  let head: Node | undefined;
  let tail: Node | undefined;
  let hand: Node | undefined;
  const evict = () => {
    let node = (hand ?? tail) as Node;
    while (node.visited) {
      node.visited = false;
      node = (node.newer ?? tail) as Node;
    }
    hand = node.newer;
    if (node.newer === undefined) head = node.older;
    else node.newer.older = node.older;
    if (node.older === undefined) tail = node.newer;
    else node.older.newer = node.newer;
    nodes.delete(node.item);
  };
  return {
    use(item) {
      const held = nodes.get(item);
      if (held !== undefined) {
        held.visited = true;
        return true;
      }
      if (nodes.size >= capacity) evict();
      const node: Node = { item, visited: burst, newer: undefined, older: head };
      if (head === undefined) tail = node;
      else head.newer = node;
      head = node;
      nodes.set(item, node);
      return false;
    },
  };
}
