import { blockIdOf } from '../block/block-key.ts';
import type { BackingFiles } from '../fuse/driver.ts';
import { ALIAS_MAX, aliasOf, mayHaveAlias } from '../fuse/node-alias.ts';
import type { CachedFile, CachedFiles } from '../mesh/loader.ts';
import { FsError } from '../posix/errno.ts';
import type { Ino } from '../posix/ino.ts';
import { O_ACCMODE, O_APPEND, O_DIRECT, O_TRUNC } from '../posix/open-flags.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { type Backing, BackingTable } from './backing-table.ts';
import type { FileVersion } from './file-version.ts';
import type { OpenFile } from './open-file.ts';
import type { OpenFiles } from './open-files.ts';
import type { PlanCache } from './plan-cache.ts';
import type { RootMap } from './root-map.ts';
import { soleBlock } from './sole-block.ts';
import type { FileViews } from './views/file-views.ts';

/**
 * So long an inode is opened in the ordinary way after it got another number. The kernel looks a name
 * up a second time when an open fails with ESTALE, and not a third time: that open must succeed.
 */
const ORDINARY_MS = 60_000;
/** Inodes of which anything is remembered here. */
const INODES_MAX = 65_536;

/** What became of an open. */
export type PassthroughOutcome =
  /** The kernel reads by itself. */
  | 'through'
  /** O_DIRECT beside such a handle: reads come to us. */
  | 'direct'
  /** Refused with ESTALE, so that the kernel finds the inode by its new number. */
  | 'moved'
  /** Others have it open in the ordinary way, or had to a moment ago. */
  | 'busy'
  /** It is no single cached block and has no view, or is opened for something else than reading. */
  | 'unfit'
  | 'full'
  | 'refused';

/** A handle by which the kernel reads by itself. */
export interface ThroughHandle {
  readonly backing: Backing;
  /** Reads come to us all the same. */
  readonly isDirect: boolean;
  /** The number that the kernel opened. */
  readonly node: Ino;
}

/** An inode some of whose handles the kernel reads by itself, or did a moment ago. */
interface Inode {
  readonly ino: Ino;
  /** The number under which the kernel is to open it. */
  node: Ino;
  /** Handles by which the kernel reads by itself: under this number, and under all numbers. */
  here: number;
  total: number;
  /** What those under this number have, while there are any. */
  backing: Backing | undefined;
  /** Opened in the ordinary way until then. */
  ordinaryUntilMs: number;
}

/** What a file contains, as far as it can be handed to the kernel. */
interface Content {
  /** The same only for the same bytes. */
  readonly name: string;
  /** Where they are; undefined while they are not cached. */
  file(): CachedFile | undefined;
}

/** What {@link Passthrough} works with. */
export interface PassthroughParts {
  readonly root: RootMap;
  readonly files: OpenFiles;
  readonly plans: PlanCache;
  readonly cached: CachedFiles;
  /** Files of more than one block. */
  readonly views: FileViews;
  readonly blockBytes: number;
  /** Of cache files that the kernel may hold. */
  readonly bytesMax: number;
  /** Learns what other threads have opened. */
  readonly catchUp: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * Files that the kernel reads by itself: whole files that are one block, from its cache file, and files
 * that have a view.
 *
 * The kernel has a rule: while an inode is open in this way all its handles must have the same backing
 * file, and while it is open in the ordinary way none may; other opens fail with EIO. (FOPEN_DIRECT_IO
 * beside FOPEN_PASSTHROUGH brings reads to us, but a map would still be of the backing file, for
 * writing, too.) So when an open needs what the rule forbids, because the file was changed, its block was
 * evicted or is bad, or somebody wants to write, the inode gets another number ({@link aliasOf}), which
 * nobody has open; the open fails with ESTALE and the kernel looks the name up again. Under its former
 * numbers an inode is never opened again while it has this one.
 */
export class Passthrough {
  readonly #parts: PassthroughParts;
  readonly #inodes = new Map<Ino, Inode>();
  /** Those that are opened in the ordinary way for a while; the one that is due first comes first. */
  readonly #ordinary = new Set<Inode>();
  readonly #count: (outcome: PassthroughOutcome) => void;
  #table: BackingTable | undefined;
  #aliases = 0;

  constructor(parts: PassthroughParts) {
    this.#parts = parts;
    parts.views.onMade((file) => this.#share(file));
    // Not every use of a file is a handle: warming up has it open for a while, too.
    parts.files.onIdle((ino) => this.#endOf(this.#inodes.get(ino)));
    parts.files.onFirst((ino) => (this.#inodes.has(ino) ? 'all' : 'nothing'));
    const help = 'Opens of files that the main thread decided about, by what became of them';
    this.#count = (outcome) => {
      const labels = { outcome };
      parts.metrics.counter({ name: 'fuse_passthrough_opens_total', help, labels }).add();
    };
  }

  /** Whether files may be opened in this way. */
  get isAttached(): boolean {
    return this.#table !== undefined;
  }

  /** From now on files may be opened in this way; undefined: none. */
  attach(files: BackingFiles | undefined): void {
    this.#table = files && new BackingTable(files, this.#parts);
  }

  /**
   * Decides how a file is opened for the handle that was just counted in it.
   *
   * @param how - `node`: the number that the kernel opens
   * @returns undefined: in the ordinary way
   * @throws FsError ESTALE: the inode has another number now
   */
  open(file: OpenFile, how: { node: Ino; flags: number }): ThroughHandle | undefined {
    const { node, flags } = how;
    this.#settle();
    let inode = this.#inodes.get(file.ino);
    if (inode !== undefined) this.#returnHome(inode, file, node);
    const isHere = node === this.#parts.root.toKernel(file.ino);
    if (!isHere || (inode !== undefined && inode.here > 0 && !this.#fits(inode, file, flags))) {
      inode ??= this.#add(file.ino);
      this.#move(inode);
      this.#share(file);
      this.#count('moved');
      throw new FsError('ESTALE', `inode ${file.ino} is to be looked up again`);
    }
    const through = this.#table && this.#begin(this.#table, file, flags, inode);
    if (onlyReads(flags)) this.#opened(file);
    this.#share(file);
    return through;
  }

  /** A file is opened whose number the kernel is about to be told. It is opened in the ordinary way. */
  created(file: OpenFile): void {
    const inode = this.#inodes.get(file.ino);
    if (inode !== undefined && inode.here > 0) this.#move(inode);
    this.#share(file);
  }

  /** Another thread has opened a file in the ordinary way. */
  adopted(file: OpenFile): void {
    this.#opened(file);
    this.#share(file);
  }

  /** A handle of a file has ended, and is not counted in it any more. */
  closed(file: OpenFile, through: ThroughHandle | undefined): void {
    const inode = this.#inodes.get(file.ino);
    if (inode === undefined) return;
    if (through !== undefined) this.#end(inode, through);
    this.#endOf(inode);
    this.#settle();
  }

  #end(inode: Inode, { backing, node }: ThroughHandle): void {
    inode.total -= 1;
    if (node === inode.node) {
      inode.here -= 1;
      if (inode.here === 0) inode.backing = undefined;
    }
    this.#table?.release(backing);
  }

  /** Whether an open may have what the inode's handles have. */
  #fits(inode: Inode, file: OpenFile, flags: number): boolean {
    const { backing } = inode;
    if (backing === undefined || !onlyReads(flags) || !backing.standing.isGood) return false;
    return this.#contentOf(file.version)?.name === backing.content;
  }

  #begin(
    table: BackingTable,
    file: OpenFile,
    flags: number,
    known: Inode | undefined,
  ): ThroughHandle | undefined {
    const backing = this.#backingFor(table, file, flags, known);
    if (typeof backing === 'string') {
      this.#count(backing);
      return undefined;
    }
    // What is known may be forgotten, or other, since other threads were heard.
    const inode = this.#inodes.get(file.ino) ?? this.#add(file.ino);
    inode.here += 1;
    inode.total += 1;
    inode.backing = backing;
    const isDirect = (flags & O_DIRECT) !== 0;
    this.#count(isDirect ? 'direct' : 'through');
    return { backing, isDirect, node: inode.node };
  }

  #backingFor(
    table: BackingTable,
    file: OpenFile,
    flags: number,
    known: Inode | undefined,
  ): Backing | Exclude<PassthroughOutcome, 'through' | 'direct' | 'moved'> {
    if (known?.backing !== undefined) {
      known.backing.handles += 1;
      return known.backing;
    }
    // Past the page cache the disk itself would be read, where we may have the bytes in memory.
    if (!onlyReads(flags) || (flags & O_DIRECT) !== 0 || !mayHaveAlias(file.ino)) return 'unfit';
    const content = this.#contentOf(file.version);
    if (content?.file() === undefined) return 'unfit';
    if (this.#isBusy(file, known)) return 'busy';
    const isRemembered = known !== undefined || this.#inodes.size < INODES_MAX;
    if (!isRemembered || this.#aliases >= ALIAS_MAX - INODES_MAX) return 'full';
    // From here on no other thread opens the file, and all that did are known.
    if (file.decidedHere === 'nothing') this.#parts.files.decideHere(file, 'opens');
    this.#parts.catchUp();
    if (this.#isBusy(file, known)) return 'busy';
    const cached = content.file();
    if (cached?.lengthBytes !== file.version.lengthBytes) return 'unfit';
    return table.acquire(content.name, cached);
  }

  /** Others have it open in the ordinary way, or must be able to. */
  #isBusy(file: OpenFile, known: Inode | undefined): boolean {
    if (known !== undefined && this.#parts.clock.nowMs() < known.ordinaryUntilMs) return true;
    // All but the handle that is being opened.
    return file.handles - 1 > (known?.total ?? 0);
  }

  #opened(file: OpenFile): void {
    if (this.#table !== undefined) this.#parts.views.opened(file);
  }

  /** The view that the file has, or the block that it is. */
  #contentOf(version: FileVersion): Content | undefined {
    if (!version.isSteady) return undefined;
    if (version.lengthBytes <= this.#parts.blockBytes) return this.#blockOf(version);
    const { views } = this.#parts;
    const view = views.of(version);
    // Asked for again, as it may have ended meanwhile.
    return view && { name: view.name, file: () => (views.of(version) === view ? view : undefined) };
  }

  #blockOf(version: FileVersion): Content | undefined {
    const { plans, blockBytes, cached } = this.#parts;
    const { lengthBytes } = version;
    if (lengthBytes === 0) return undefined;
    const pieces = plans.cached(version, 0);
    const sole = pieces && soleBlock(pieces, { offset: 0, length: lengthBytes }, blockBytes);
    if (sole?.offset !== 0 || sole.key.sizeBytes !== lengthBytes) return undefined;
    const { key } = sole;
    return { name: blockIdOf(key), file: () => cached.cachedFile(key) };
  }

  /** Tells the other threads what they may answer about a file. */
  #share(file: OpenFile): void {
    const { files, root } = this.#parts;
    const hasAlias = root.toKernel(file.ino) !== root.ownNode(file.ino);
    const opens = this.#inodes.has(file.ino) || this.#mayPass(file) ? 'opens' : 'nothing';
    files.decideHere(file, hasAlias ? 'all' : opens);
  }

  #mayPass(file: OpenFile): boolean {
    if (this.#table === undefined) return false;
    return this.#contentOf(file.version)?.file() !== undefined;
  }

  /** Gives the inode a number that nobody has open. */
  #move(inode: Inode): void {
    const { root, clock } = this.#parts;
    inode.ordinaryUntilMs = clock.nowMs() + ORDINARY_MS;
    this.#ordinary.delete(inode);
    this.#ordinary.add(inode);
    if (inode.here === 0) return;
    this.#aliases += 1;
    inode.node = aliasOf(inode.ino, this.#aliases);
    inode.here = 0;
    inode.backing = undefined;
    root.setAlias(inode.ino, inode.node);
  }

  /** Nobody has the inode open, and the kernel comes with the number that it has by itself. */
  #returnHome(inode: Inode, file: OpenFile, node: Ino): void {
    const { root } = this.#parts;
    if (inode.total > 0 || file.handles > 1 || node !== root.ownNode(file.ino)) return;
    inode.node = node;
    root.setAlias(inode.ino, undefined);
  }

  #endOf(inode: Inode | undefined): void {
    if (inode !== undefined && this.#isOver(inode)) this.#forget(inode);
  }

  /** Whether nothing has to be remembered of an inode: nobody has it open under a number that may change. */
  #isOver({ ino, node, total, ordinaryUntilMs }: Inode): boolean {
    const { root, files, clock } = this.#parts;
    if (total > 0 || clock.nowMs() < ordinaryUntilMs) return false;
    return node === root.ownNode(ino) || (files.find(ino)?.handles ?? 0) === 0;
  }

  #forget(inode: Inode): void {
    const { root, files } = this.#parts;
    this.#ordinary.delete(inode);
    this.#inodes.delete(inode.ino);
    root.setAlias(inode.ino, undefined);
    const file = files.find(inode.ino);
    if (file !== undefined) this.#share(file);
  }

  /** Looks after inodes that have waited long enough. Those that are still open come to an end at their close. */
  #settle(): void {
    const nowMs = this.#parts.clock.nowMs();
    for (const inode of this.#ordinary) {
      if (nowMs < inode.ordinaryUntilMs) return;
      this.#ordinary.delete(inode);
      this.#endOf(inode);
    }
  }

  #add(ino: Ino): Inode {
    const node = this.#parts.root.ownNode(ino);
    const counts = { here: 0, total: 0, backing: undefined };
    const inode = { ino, node, ...counts, ordinaryUntilMs: Number.NEGATIVE_INFINITY };
    this.#inodes.set(ino, inode);
    return inode;
  }
}

function onlyReads(flags: number): boolean {
  return (flags & (O_ACCMODE | O_TRUNC | O_APPEND)) === 0;
}
