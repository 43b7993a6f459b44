import { FileType } from '../../src/posix/attr.ts';

/** An inode of the model. */
export interface ModelNode {
  readonly id: number;
  readonly type: FileType;
  nlink: number;
  length: number;
  /** Of a directory. */
  readonly entries: Map<string, ModelNode>;
  parent: ModelNode | undefined;
}

/** A refusal by the model. */
export class ModelRefusal extends Error {}

/** A file tree as POSIX wants it, in a few lines. */
export class TreeModel {
  #nextId = 0;
  readonly root: ModelNode = this.#node(FileType.directory);
  /** All directories that there are, the root first. */
  readonly dirs: ModelNode[] = [this.root];

  make(dir: ModelNode, name: string, type: FileType): ModelNode {
    if (dir.entries.has(name)) throw new ModelRefusal('EEXIST');
    const node = this.#node(type);
    node.parent = dir;
    dir.entries.set(name, node);
    if (type === FileType.directory) {
      dir.nlink += 1;
      this.dirs.push(node);
    }
    return node;
  }

  link(node: ModelNode, dir: ModelNode, name: string): void {
    if (node.type === FileType.directory) throw new ModelRefusal('EPERM');
    if (dir.entries.has(name)) throw new ModelRefusal('EEXIST');
    dir.entries.set(name, node);
    node.nlink += 1;
  }

  unlink(dir: ModelNode, name: string): void {
    const node = this.#get(dir, name);
    if (node.type === FileType.directory) throw new ModelRefusal('EPERM');
    dir.entries.delete(name);
    node.nlink -= 1;
  }

  rmdir(dir: ModelNode, name: string): void {
    const node = this.#get(dir, name);
    if (node.type !== FileType.directory) throw new ModelRefusal('ENOTDIR');
    if (node.entries.size > 0) throw new ModelRefusal('ENOTEMPTY');
    this.#drop(dir, name, node);
  }

  rename(
    [from, a]: readonly [ModelNode, string],
    [to, b]: readonly [ModelNode, string],
    how: 'replace' | 'keep' | 'exchange',
  ): void {
    const node = this.#get(from, a);
    if (from === to && a === b) return;
    const target = to.entries.get(b);
    if (target !== undefined && how === 'keep') throw new ModelRefusal('EEXIST');
    if (target === node) return;
    if (how === 'exchange') {
      this.#exchange([from, a, node], [to, b, target]);
      return;
    }
    if (target !== undefined) this.#checkReplace(node, target);
    this.#checkOutside(to, node);
    if (target?.type === FileType.directory && target.entries.size > 0) {
      throw new ModelRefusal('ENOTEMPTY');
    }
    if (target?.type === FileType.directory) this.#drop(to, b, target);
    else if (target !== undefined) target.nlink -= 1;
    from.entries.delete(a);
    to.entries.set(b, node);
    this.#reparent(node, from, to);
  }

  truncate(node: ModelNode, length: number): void {
    if (node.type !== FileType.file) throw new ModelRefusal('EPERM');
    node.length = length;
  }

  /** Everything below a directory, one line for each name. */
  lines(show: (node: ModelNode) => string, dir: ModelNode = this.root, path = ''): string[] {
    return [...dir.entries].flatMap(([name, node]) => {
      const here = `${path}/${name}`;
      const line = `${here} ${show(node)}`;
      return node.type === FileType.directory ? [line, ...this.lines(show, node, here)] : [line];
    });
  }

  #exchange(
    [from, a, node]: readonly [ModelNode, string, ModelNode],
    [to, b, target]: readonly [ModelNode, string, ModelNode | undefined],
  ): void {
    if (target === undefined) throw new ModelRefusal('ENOENT');
    this.#checkOutside(to, node);
    this.#checkOutside(from, target);
    from.entries.set(a, target);
    to.entries.set(b, node);
    this.#reparent(node, from, to);
    this.#reparent(target, to, from);
  }

  #checkReplace(node: ModelNode, target: ModelNode): void {
    const [isDir, isTargetDir] = [node, target].map(({ type }) => type === FileType.directory);
    if (isDir === true && isTargetDir === false) throw new ModelRefusal('ENOTDIR');
    if (isDir === false && isTargetDir === true) throw new ModelRefusal('EISDIR');
  }

  #checkOutside(dir: ModelNode, moving: ModelNode): void {
    for (let at: ModelNode | undefined = dir; at !== undefined; at = at.parent) {
      if (at === moving) throw new ModelRefusal('EINVAL');
    }
  }

  #reparent(node: ModelNode, from: ModelNode, to: ModelNode): void {
    if (node.type !== FileType.directory) return;
    node.parent = to;
    from.nlink -= 1;
    to.nlink += 1;
  }

  #drop(dir: ModelNode, name: string, node: ModelNode): void {
    dir.entries.delete(name);
    dir.nlink -= 1;
    this.dirs.splice(this.dirs.indexOf(node), 1);
  }

  #get(dir: ModelNode, name: string): ModelNode {
    const node = dir.entries.get(name);
    if (node === undefined) throw new ModelRefusal('ENOENT');
    return node;
  }

  #node(type: FileType): ModelNode {
    this.#nextId += 1;
    const nlink = type === FileType.directory ? 2 : 1;
    return { id: this.#nextId, type, nlink, length: 0, entries: new Map(), parent: undefined };
  }
}
