import { encodeAclRule } from '../meta/acl-codec.ts';
import type { AclRule } from '../meta/acl.ts';
import type { LoadRecord } from '../meta/volume-loader.ts';
import { firstDirectory, TRASH_MODE } from '../meta/volume-root.ts';
import type { OwnerKind } from '../meta/write/meta-tx.ts';
import type { VolumeCounters } from '../meta/write/scans.ts';
import { FileType, type Timespec } from '../posix/attr.ts';
import { type Ino, ROOT_INO, toIno, TRASH_INO } from '../posix/ino.ts';
import { IdSet } from '../runtime/id-set.ts';
import type { Logger } from '../runtime/logger.ts';
import type { DumpSink, DumpValue } from './dump-reader.ts';
import { dumpBytes } from './dump-text.ts';
import { toAttr, toChunks, toRule, toXattrs } from './dump-values.ts';
import { DumpError } from './json-events.ts';
import { LoadHead } from './load-head.ts';
import { LoadNode } from './load-node.ts';
import { LoadTotals } from './load-totals.ts';

const KINDS: readonly OwnerKind[] = ['user', 'group'];
const NOTHING = { space: 0n, inodes: 0n };
const NO_LIMITS = { maxBytes: -1n, maxInodes: -1n };
const TREE_ROOTS: Readonly<Record<string, Ino>> = { FSTree: ROOT_INO, Trash: TRASH_INO };

/**
 * Turns what a dump holds into what is put into the database. Kept in mind: the directories of one
 * path, the numbers of all inodes and slices, and names of files with several ones.
 */
export class VolumeLoad implements DumpSink {
  readonly head = new LoadHead();
  readonly #totals = new LoadTotals();
  readonly #logger: Logger;
  readonly #inodes = new IdSet();
  readonly #slices = new IdSet();
  /** Ids of rules, by what is stored of them. */
  readonly #rules = new Map<string, number>();
  readonly #path: LoadNode[] = [];
  /** Directories that name an inode beside the first one. */
  readonly #links = new Map<Ino, Map<Ino, number>>();
  /** What is below directories with quotas. */
  readonly #below = new Map<Ino, { space: bigint; inodes: bigint }>();
  #records: LoadRecord[] = [];
  #loaded = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Files and directories so far. */
  get loaded(): number {
    return this.#loaded;
  }

  /** What is to be put into the database now. */
  take(): LoadRecord[] {
    const records = this.#records;
    this.#records = [];
    return records;
  }

  /**
   * The rest of what is to be put, when the dump has ended and all else was put.
   *
   * @throws DumpError when something is missing
   */
  end(now: Timespec): { readonly records: LoadRecord[]; readonly counters: VolumeCounters } {
    const counters = this.#totals.counters(this.head.counters);
    if (this.#inodes.add(ROOT_INO)) throw new DumpError('the dump has no FSTree');
    // Without it nothing could be removed.
    if (Number(this.head.setting['TrashDays'] ?? 0) > 0 && this.#inodes.add(TRASH_INO)) {
      this.#records.push({ kind: 'node', ino: TRASH_INO, attr: firstDirectory(TRASH_MODE, now) });
    }
    for (const [ino, more] of this.#links) this.#records.push({ kind: 'links', ino, more });
    for (const file of this.head.deleted) this.#records.push({ kind: 'deleted', ...file });
    this.#putQuotas();
    return { records: this.take(), counters };
  }

  onHead(name: string, value: DumpValue): void {
    if (name === 'Quotas' && this.#loaded > 0) {
      throw new DumpError('Quotas must stand before FSTree, as in every dump');
    }
    this.head.set(name, value);
  }

  onEnter(name: string): void {
    const above = this.#path.at(-1);
    if (above !== undefined && above.attr.type !== FileType.directory) {
      throw new DumpError(`${this.#where()} has entries, and is no directory`);
    }
    this.#path.push(new LoadNode(name, above));
  }

  onField(name: string, value: DumpValue): void {
    const node = this.#here();
    const what = `${this.#where()}: ${name}`;
    if (name === 'attr') return this.#setAttr(node, value, what);
    if (!node.isNew) return;
    if (name === 'symlink') node.symlink = this.#text(value, what);
    else if (name === 'xattrs') node.xattrs = toXattrs(value, what);
    else if (name === 'posix_acl_access') node.accessRule = toRule(value, what);
    else if (name === 'posix_acl_default') node.defaultRule = toRule(value, what);
    else if (name === 'chunks') this.#putChunks(node, value, what);
  }

  onLeave(): void {
    const node = this.#here();
    if (node.isNew) this.#putNode(node);
    this.#path.pop();
    const { above } = node;
    if (above !== undefined && !node.isLeftOut) {
      const edge = { type: node.attr.type, ino: node.ino };
      this.#records.push({ kind: 'edge', dir: above.ino, name: this.#nameOf(node), edge });
      above.addChild(node);
    }
    if (node.attr.type === FileType.directory && !node.isLeftOut) this.#charge(node);
  }

  #setAttr(node: LoadNode, value: DumpValue, what: string): void {
    const attr = toAttr(value, what);
    const ino = this.#inoOf(node, attr.inode, what);
    if (node.above?.isLeftOut === true) return node.leaveOut(ino, attr);
    const isNew = this.#inodes.add(ino);
    if (isNew) {
      this.#totals.addInode(ino, attr);
      this.#loaded += 1;
    } else if (attr.type === FileType.directory) {
      const message = 'a directory is there twice, as it was moved meanwhile: left out';
      this.#logger.warn({ path: this.#where() }, message);
      return node.leaveOut(ino, attr);
    } else if (node.above !== undefined) {
      const more = this.#links.get(ino) ?? new Map<Ino, number>();
      more.set(node.above.ino, (more.get(node.above.ino) ?? 0) + 1);
      this.#links.set(ino, more);
    }
    node.set(ino, attr, isNew);
  }

  #inoOf(node: LoadNode, inode: bigint, what: string): Ino {
    const root = node.above === undefined ? TREE_ROOTS[node.name] : undefined;
    // What was dumped may be a directory somewhere in the volume.
    if (root === ROOT_INO) return ROOT_INO;
    const isOfTrash = inode >= TRASH_INO;
    const isHour = node.above?.ino === TRASH_INO && inode !== TRASH_INO;
    const isRight = root === undefined ? inode > ROOT_INO && isOfTrash === isHour : inode === root;
    if (isRight) return toIno(inode);
    throw new DumpError(`${what}: inode ${inode} cannot be there`);
  }

  #putChunks(node: LoadNode, value: DumpValue, what: string): void {
    if (node.attr.type !== FileType.file) return;
    for (const { index, records } of toChunks(value, what)) {
      this.#records.push({ kind: 'chunk', ino: node.ino, index, records });
      for (const { sliceId: id, size } of records) {
        if (id === 0n) continue;
        this.#totals.addSlice(id);
        this.#records.push({ kind: 'reference', id, size, isFirst: this.#slices.add(id) });
      }
    }
  }

  #putNode(node: LoadNode): void {
    const { ino, symlink, xattrs } = node;
    const accessAclId = this.#ruleId(node.accessRule);
    const attr = { ...node.stored(), accessAclId, defaultAclId: this.#ruleId(node.defaultRule) };
    this.#records.push({ kind: 'node', ino, attr });
    if (attr.type === FileType.symlink)
      this.#records.push({ kind: 'symlink', ino, target: symlink });
    for (const xattr of xattrs) this.#records.push({ kind: 'xattr', ino, ...xattr });
    if (attr.type === FileType.directory) {
      this.#records.push({ kind: 'stats', dir: ino, stats: node.stats });
    }
  }

  #ruleId(rule: AclRule | undefined): number {
    if (rule === undefined) return 0;
    const key = Buffer.from(encodeAclRule(rule)).toString('latin1');
    const known = this.#rules.get(key);
    if (known !== undefined) return known;
    const id = this.#rules.size + 1;
    this.#rules.set(key, id);
    this.#records.push({ kind: 'acl', id, rule });
    return id;
  }

  /** What is in the directory counts for all quotas above it. The trash has none. */
  #charge(node: LoadNode): void {
    if (this.head.dirs.size === 0 || node.isInTrash) return;
    for (let dir: LoadNode | undefined = node; dir !== undefined; dir = dir.above) {
      if (!this.head.dirs.has(dir.ino)) continue;
      const { space, inodes } = this.#below.get(dir.ino) ?? NOTHING;
      const { stats } = node;
      this.#below.set(dir.ino, { space: space + stats.space, inodes: inodes + stats.inodes });
    }
  }

  #putQuotas(): void {
    for (const [dir, limits] of this.head.dirs) {
      const { space, inodes } = this.#below.get(dir) ?? NOTHING;
      const quota = { ...limits, usedBytes: space, usedInodes: inodes };
      this.#records.push({ kind: 'dirQuota', dir, quota });
    }
    const { user, group } = this.head.owners;
    const isKept = this.head.setting['UserGroupQuota'] === true || user.size + group.size > 0;
    if (!isKept) return;
    for (const owner of KINDS) {
      const [limits, sums] = [this.head.owners[owner], this.#totals.owners[owner]];
      for (const id of new Set([...limits.keys(), ...sums.keys()])) {
        const { space, inodes } = sums.get(id) ?? NOTHING;
        const used = { usedBytes: space, usedInodes: inodes };
        const quota = { ...(limits.get(id) ?? NO_LIMITS), ...used };
        this.#records.push({ kind: 'ownerQuota', owner, id, quota });
      }
    }
  }

  #nameOf({ name }: LoadNode): Uint8Array {
    const bytes = dumpBytes(name);
    const isName = bytes.byteLength > 0 && bytes.byteLength <= NAME_BYTES_MAX;
    if (isName && !bytes.includes(SLASH) && !bytes.includes(0)) return bytes;
    throw new DumpError(`${this.#where()}: "${name}" is no name of a file`);
  }

  #text(value: DumpValue, what: string): Uint8Array {
    if (typeof value === 'string') return dumpBytes(value);
    throw new DumpError(`${what} must be a text`);
  }

  #here(): LoadNode {
    const node = this.#path.at(-1);
    if (node === undefined) throw new DumpError('a field stands outside of the trees');
    return node;
  }

  #where(): string {
    const names = this.#path.slice(1).map(({ name }) => name);
    return `${this.#path[0]?.name === 'Trash' ? '/.trash' : ''}/${names.join('/')}`;
  }
}

const NAME_BYTES_MAX = 255;
const SLASH = 0x2f;
