import type { FuseDriver } from '../../fuse/driver.ts';
import type { ChangeListener, Changes, ChangeStream } from '../../meta/change-stream.ts';
import type { Ino } from '../../posix/ino.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { Gauge, Metrics } from '../../runtime/metrics.ts';
import type { OpenFiles } from '../open-files.ts';
import type { RootMap } from '../root-map.ts';
import type { ToldAttrs } from '../told-attrs.ts';
import { ChangeMarks, type MarkedIno } from './change-marks.ts';
import { type Belief, type BeliefsMax, KernelBeliefs } from './kernel-beliefs.ts';

/**
 * What the kernel may hold for long: 20 MB of ours at most. Names wait for the kernel one by one when
 * they are taken back, and no more of them may wait than its queue takes.
 */
const HELD_MAX: BeliefsMax = { attrs: 100_000, names: 50_000, namesPerDirectory: 10_000 };
/**
 * The kernel may get to know an answer a little after it was told to forget it: what was told so shortly
 * before is taken back once more, so long after.
 */
const LATE_MS = 1_000;
/** So many are taken back at once when all are. */
const PART = 1_000;

/** The part of a driver that takes back what the kernel believes. */
export type KernelNotices = Pick<FuseDriver, 'invalidateInode' | 'invalidateEntry'>;

/** What {@link Coherence} works with. */
export interface CoherenceParts {
  readonly root: RootMap;
  readonly told: ToldAttrs;
  readonly files: OpenFiles;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Of the clock that all threads share. */
  readonly machineMs: () => number;
  /** Learns what other threads have told the kernel. */
  readonly catchUp: () => void;
}

/** What the kernel was told, by whom it was asked for when. */
export interface Asked {
  /** How long ago the answer was asked for, at least. */
  readonly ageMs: number;
}

/**
 * Lets the kernel hold names and attributes for long while the metadata server tells of changes, and
 * takes back what has changed; when the server falls silent, all of it.
 */
export class Coherence implements ChangeListener {
  readonly marks: ChangeMarks;
  readonly #parts: CoherenceParts;
  readonly #heldAttrs: Gauge;
  readonly #heldNames: Gauge;
  #beliefs: KernelBeliefs | undefined;
  #kernel: KernelNotices | undefined;
  #isAlive = false;
  #unsubscribe: (() => void) | undefined;
  /** Takes back once more what was told shortly before. */
  #late: { atMs: number; again: () => void }[] = [];
  #lateTimer: Timer | undefined;

  constructor(parts: CoherenceParts) {
    this.#parts = parts;
    this.marks = ChangeMarks.create(parts.machineMs());
    const gauge = (name: string, help: string) => parts.metrics.gauge({ name, help });
    this.#heldAttrs = gauge(
      'fuse_held_attrs',
      'attributes that the kernel holds until they change',
    );
    this.#heldNames = gauge('fuse_held_names', 'names that the kernel holds until they change');
  }

  /** From now on the kernel holds what the stream covers. Called once. */
  follow(stream: ChangeStream, kernel: KernelNotices): void {
    if (stream.expiryMs <= 0) return;
    this.#kernel = kernel;
    this.marks.setKeepMs(stream.expiryMs);
    // A reply gets to the kernel a little after it is noted.
    this.#beliefs = new KernelBeliefs(heldMax(stream.sizeMax), this.marks.keepMs + LATE_MS);
    this.#unsubscribe = stream.subscribe(this);
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.marks.lose();
    this.#lateTimer?.cancel();
  }

  /** How long the kernel holds things. */
  get keepMs(): number {
    return this.marks.keepMs;
  }

  /** Whether an attribute may be held that the kernel is told now; it is noted then. */
  holdsAttr(ino: Ino, { ageMs }: Asked): boolean {
    if (this.#beliefs === undefined || this.#hasAlias(ino)) return false;
    const nowMs = this.#parts.machineMs();
    if (!this.marks.mayHoldAttr(wordsOf(ino), nowMs - ageMs, nowMs)) return false;
    this.heldAttr(ino);
    return true;
  }

  /** Whether a name may be held that the kernel is told now; it is noted then. */
  holdsName(directory: Ino, name: Uint8Array, { ageMs }: Asked): boolean {
    if (this.#beliefs === undefined || this.#beliefs.isFull(directory)) return false;
    const nowMs = this.#parts.machineMs();
    if (!this.marks.mayHoldName(wordsOf(directory), nowMs - ageMs, nowMs)) return false;
    this.heldName(directory, name);
    return true;
  }

  /** Another thread has told the kernel an attribute to hold. */
  heldAttr(ino: Ino): void {
    this.#beliefs?.addAttr(ino, this.#parts.clock.nowMs());
    this.#shareRoom();
  }

  /** Another thread has told the kernel a name to hold. */
  heldName(directory: Ino, name: Uint8Array): void {
    this.#beliefs?.addName(directory, name, this.#parts.clock.nowMs());
    this.#shareRoom();
    // It does not know how many there are: a directory that changes holds no names for a while.
    if (this.#beliefs?.isFull(directory) === true) this.#mark(directory);
  }

  /**
   * This mount has renamed something to this name. The kernel moves the old name along with its
   * time-out, and notices that come for the old name find nothing.
   */
  renamed(directory: Ino, name: Uint8Array): void {
    this.#kernel?.invalidateEntry(this.#parts.root.ownNode(directory), name);
  }

  /** @see ChangeListener.changed */
  changed({ attrs, names }: Changes): void {
    const beliefs = this.#beliefs;
    if (beliefs === undefined) return;
    for (const ino of attrs) this.#mark(ino);
    for (const directory of names) this.#mark(directory);
    // Whoever did not see the marks has told what is noted now.
    this.#parts.catchUp();
    for (const ino of attrs) {
      this.#parts.files.doubt(ino);
      this.#takeBackAttr(beliefs, ino);
    }
    for (const directory of names) this.#takeBackNames(beliefs, directory);
    this.#shareRoom();
  }

  /** @see ChangeListener.proven */
  proven(atMs: number): void {
    const { clock, machineMs } = this.#parts;
    const [nowMs, machineNowMs] = [clock.nowMs(), machineMs()];
    // Changes were made before that nobody told of. No thread may open what it knows before it is doubted.
    if (!this.#isAlive) this.#parts.files.doubtAll();
    this.#isAlive = true;
    this.marks.prove(machineNowMs - (nowMs - atMs), machineNowMs);
    this.#beliefs?.sweep(nowMs);
    this.#shareRoom();
    this.#showHeld();
  }

  /** @see ChangeListener.lost */
  lost(): void {
    const beliefs = this.#beliefs;
    if (beliefs === undefined || !this.#isAlive) return;
    this.#isAlive = false;
    this.marks.lose();
    this.#parts.catchUp();
    this.#parts.files.doubtAll();
    const { attrs, directories } = beliefs.all();
    this.#takeBackAll(beliefs, attrs, directories);
  }

  /** In parts: other work goes on in between. */
  #takeBackAll(beliefs: KernelBeliefs, attrs: Ino[], directories: Ino[]): void {
    let left = PART;
    for (; left > 0 && directories.length > 0; left -= 1) {
      left -= this.#takeBackNames(beliefs, directories.pop() as Ino);
    }
    for (; left > 0 && attrs.length > 0; left -= 1) this.#takeBackAttr(beliefs, attrs.pop() as Ino);
    this.#shareRoom();
    this.#showHeld();
    if (attrs.length === 0 && directories.length === 0) return;
    this.#parts.clock.setTimer(0, () => this.#takeBackAll(beliefs, attrs, directories));
  }

  #takeBackAttr(beliefs: KernelBeliefs, ino: Ino): void {
    const { clock, root, told } = this.#parts;
    const belief = beliefs.takeAttr(ino, clock.nowMs());
    if (belief === undefined) return;
    const again = () => {
      this.#kernel?.invalidateInode(root.ownNode(ino), -1, 0);
      told.tookBack(ino);
    };
    if (this.#onceMore(belief, again)) this.#kernel?.invalidateInode(root.ownNode(ino), -1, 0);
    else again();
  }

  /** @returns how many there were */
  #takeBackNames(beliefs: KernelBeliefs, directory: Ino): number {
    const names = beliefs.takeNames(directory, this.#parts.clock.nowMs());
    const node = this.#parts.root.ownNode(directory);
    for (const { name, belief } of names) {
      const again = () => this.#kernel?.invalidateEntry(node, name);
      again();
      this.#onceMore(belief, again);
    }
    return names.length;
  }

  /** @returns whether the kernel may not have had yet what is taken back */
  #onceMore({ toldAtMs }: Belief, again: () => void): boolean {
    const nowMs = this.#parts.clock.nowMs();
    if (nowMs - toldAtMs > LATE_MS) return false;
    this.#late.push({ atMs: nowMs + LATE_MS, again });
    this.#lateTimer ??= this.#parts.clock.setTimer(LATE_MS, () => this.#sendLate());
    return true;
  }

  #sendLate(): void {
    const nowMs = this.#parts.clock.nowMs();
    const due = this.#late.findIndex(({ atMs }) => atMs > nowMs);
    const sent = this.#late.splice(0, due === -1 ? this.#late.length : due);
    for (const { again } of sent) again();
    const [next] = this.#late;
    const delayMs = Math.max(1, (next?.atMs ?? 0) - nowMs);
    this.#lateTimer = next && this.#parts.clock.setTimer(delayMs, () => this.#sendLate());
  }

  #mark(ino: Ino): void {
    this.marks.mark(wordsOf(ino), this.#parts.machineMs());
  }

  /** The kernel may know it by several numbers. */
  #hasAlias(ino: Ino): boolean {
    const { root } = this.#parts;
    return root.toKernel(ino) !== root.ownNode(ino);
  }

  #showHeld(): void {
    this.#heldAttrs.set(this.#beliefs?.attrs ?? 0);
    this.#heldNames.set(this.#beliefs?.names ?? 0);
  }

  #shareRoom(): void {
    const beliefs = this.#beliefs;
    if (beliefs === undefined) return;
    this.marks.setRoom({ attrs: beliefs.haveAttrRoom, names: beliefs.haveNameRoom });
  }
}

function heldMax(sizeMax = Number.POSITIVE_INFINITY): BeliefsMax {
  const { attrs, names, namesPerDirectory } = HELD_MAX;
  return {
    attrs: Math.min(attrs, sizeMax),
    names: Math.min(names, sizeMax),
    namesPerDirectory: Math.min(namesPerDirectory, sizeMax),
  };
}

function wordsOf(ino: Ino): MarkedIno {
  return {
    low: Number(BigInt.asUintN(32, ino)),
    high: Number(BigInt.asUintN(32, ino >> 32n)),
  };
}
