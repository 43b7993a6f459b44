import type { AclRule } from '../meta/acl.ts';
import type { DirStats } from '../meta/write/meta-tx.ts';
import { spaceOfLength } from '../meta/write/node-space.ts';
import { type Attr, FileType } from '../posix/attr.ts';
import { type Ino, ROOT_INO, TRASH_INO } from '../posix/ino.ts';
import type { DumpedAttr, toXattrs } from './dump-values.ts';
import { DumpError } from './json-events.ts';

const DIRECTORY_BYTES = 4096n;

/** A file or directory of a dump, while its fields come. */
export class LoadNode {
  /** As it stands in the dump. */
  readonly name: string;
  /** The directory that it is in; undefined for the root of a tree. */
  readonly above: LoadNode | undefined;
  symlink: Uint8Array = new Uint8Array();
  xattrs: ReturnType<typeof toXattrs> = [];
  accessRule: AclRule | undefined;
  defaultRule: AclRule | undefined;
  #known: { readonly ino: Ino; readonly attr: DumpedAttr } | undefined;
  #isNew = false;
  #isLeftOut = false;
  #subdirs = 0;
  #stats: DirStats = { length: 0n, space: 0n, inodes: 0n };

  constructor(name: string, above: LoadNode | undefined) {
    this.name = name;
    this.above = above;
  }

  /** @throws DumpError before its attribute has come, which is the first field of all dumps */
  get ino(): Ino {
    return this.#must().ino;
  }

  /** @throws DumpError. @see ino */
  get attr(): DumpedAttr {
    return this.#must().attr;
  }

  /** Whether this is the first time that its inode comes. @throws DumpError. @see ino */
  get isNew(): boolean {
    this.#must();
    return this.#isNew;
  }

  get isLeftOut(): boolean {
    return this.#isLeftOut;
  }

  get isInTrash(): boolean {
    return this.above === undefined ? this.ino === TRASH_INO : this.above.isInTrash;
  }

  /** Of the children that have come. */
  get stats(): DirStats {
    return this.#stats;
  }

  set(ino: Ino, attr: DumpedAttr, isNew: boolean): void {
    this.#known = { ino, attr };
    this.#isNew = isNew;
  }

  /** With everything below. */
  leaveOut(ino: Ino, attr: DumpedAttr): void {
    this.set(ino, attr, false);
    this.#isLeftOut = true;
  }

  addChild({ attr }: LoadNode): void {
    if (attr.type === FileType.directory) this.#subdirs += 1;
    const { length, space, inodes } = this.#stats;
    this.#stats = {
      length: length + attr.length,
      space: space + spaceOfLength(attr.length),
      inodes: inodes + 1n,
    };
  }

  /** Its attribute but for ACLs, when all its children have come. */
  stored(): Attr {
    const { inode: _, ...attr } = this.attr;
    const isDirectory = attr.type === FileType.directory;
    // Hourly directories do not count in the trash, nor what is in them there.
    const subdirs = this.ino < TRASH_INO ? this.#subdirs : 0;
    return {
      ...attr,
      nlink: isDirectory ? 2 + subdirs : 1,
      length: this.#length(),
      parent: this.above?.ino ?? ROOT_INO,
      ...{ accessAclId: 0, defaultAclId: 0 },
    };
  }

  #length(): bigint {
    const { type, length } = this.attr;
    if (type === FileType.directory) return DIRECTORY_BYTES;
    return type === FileType.symlink ? BigInt(this.symlink.byteLength) : length;
  }

  #must() {
    if (this.#known !== undefined) return this.#known;
    throw new DumpError(`"${this.name}": its attr must be its first field, as in every dump`);
  }
}
