/** Something in a tree of files. */
export interface TreeNode {
  /** For people; bytes that are not UTF-8 are replaced. */
  readonly path: string;
  readonly isDirectory: boolean;
  /** As stat tells it. */
  readonly lengthBytes: bigint;
}

/** A tree of files, seen through a mount or by a volume's metadata. */
export interface Tree<Node extends TreeNode = TreeNode> {
  /** @throws UsageError when there is nothing */
  find(path: string): Promise<Node>;
  /** What is in a directory. What is gone meanwhile has no children. */
  children(directory: Node): AsyncIterable<Node>;
  /** Removes a name, or an empty directory. @returns whether it was this call that did */
  remove(node: Node): Promise<boolean>;
}

/** Space is counted in pages, and nothing takes less than one. */
const PAGE_BYTES = 4096n;

/** What something takes up as quotas and other clients count it. */
export function spaceBytesOf({ isDirectory, lengthBytes }: TreeNode): bigint {
  if (isDirectory || lengthBytes === 0n) return PAGE_BYTES;
  return ((lengthBytes + PAGE_BYTES - 1n) / PAGE_BYTES) * PAGE_BYTES;
}
