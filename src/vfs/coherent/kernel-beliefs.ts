import type { Ino } from '../../posix/ino.ts';

/** How much is remembered. */
export interface BeliefsMax {
  readonly attrs: number;
  readonly names: number;
  /** Of one directory: a change of it takes them all back. */
  readonly namesPerDirectory: number;
}

/** What the kernel was told for long. */
export interface Belief {
  /** By the clock of {@link KernelBeliefs}. */
  readonly toldAtMs: number;
}

interface Names {
  /** When each was told; the first told ones first. */
  readonly told: Map<string, number>;
  lastToldMs: number;
  sweepAtMs: number;
}

/** What has expired goes this often. */
const SWEEP_MS = 250;

/**
 * What the kernel was told to believe for long, so that it can be taken back when it changes. Names are
 * kept by directory: a change tells which directory, not which name.
 */
export class KernelBeliefs {
  readonly #max: BeliefsMax;
  readonly #keepMs: number;
  /** When each was told; the first told ones first. */
  readonly #attrs = new Map<Ino, number>();
  /** The one of which a name was told last comes last. */
  readonly #directories = new Map<Ino, Names>();
  #names = 0;
  #sweepAtMs = Number.NEGATIVE_INFINITY;

  /** @param keepMs - when the kernel believes it no more */
  constructor(max: BeliefsMax, keepMs: number) {
    this.#max = max;
    this.#keepMs = keepMs;
  }

  get attrs(): number {
    return this.#attrs.size;
  }

  get names(): number {
    return this.#names;
  }

  get haveAttrRoom(): boolean {
    return this.#attrs.size < this.#max.attrs;
  }

  get haveNameRoom(): boolean {
    return this.#names < this.#max.names;
  }

  /** Whether a directory has so many names that no more are to be told for long. */
  isFull(directory: Ino): boolean {
    const told = this.#directories.get(directory)?.told.size ?? 0;
    return told >= this.#max.namesPerDirectory;
  }

  /** The kernel is told an attribute. */
  addAttr(ino: Ino, nowMs: number): void {
    this.#attrs.delete(ino);
    this.#attrs.set(ino, nowMs);
  }

  /** The kernel is told a name. */
  addName(directory: Ino, name: Uint8Array, nowMs: number): void {
    let names = this.#directories.get(directory);
    names ??= { told: new Map(), lastToldMs: nowMs, sweepAtMs: nowMs + SWEEP_MS };
    // To the end of both.
    this.#directories.delete(directory);
    this.#directories.set(directory, names);
    const key = Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('latin1');
    if (names.told.delete(key)) this.#names -= 1;
    names.told.set(key, nowMs);
    names.lastToldMs = nowMs;
    this.#names += 1;
    if (nowMs >= names.sweepAtMs) this.#sweepNames(names, nowMs);
  }

  /** @returns undefined when the kernel believes nothing of the inode for long; it does not now */
  takeAttr(ino: Ino, nowMs: number): Belief | undefined {
    const toldAtMs = this.#attrs.get(ino);
    if (toldAtMs === undefined) return undefined;
    this.#attrs.delete(ino);
    return nowMs - toldAtMs > this.#keepMs ? undefined : { toldAtMs };
  }

  /** The names of a directory that the kernel believes for long; it does not now. */
  takeNames(directory: Ino, nowMs: number): { name: Uint8Array; belief: Belief }[] {
    const names = this.#directories.get(directory);
    if (names === undefined) return [];
    this.#directories.delete(directory);
    this.#names -= names.told.size;
    return [...names.told]
      .filter(([, toldAtMs]) => nowMs - toldAtMs <= this.#keepMs)
      .map(([name, toldAtMs]) => ({ name: Buffer.from(name, 'latin1'), belief: { toldAtMs } }));
  }

  /** All inodes of which the kernel may believe an attribute, and all directories with names. */
  all(): { attrs: Ino[]; directories: Ino[] } {
    return { attrs: [...this.#attrs.keys()], directories: [...this.#directories.keys()] };
  }

  /** Forgets what the kernel believes no more by itself. */
  sweep(nowMs: number): void {
    if (nowMs < this.#sweepAtMs) return;
    this.#sweepAtMs = nowMs + SWEEP_MS;
    for (const [ino, toldAtMs] of this.#attrs) {
      if (nowMs - toldAtMs <= this.#keepMs) break;
      this.#attrs.delete(ino);
    }
    for (const [directory, names] of this.#directories) {
      if (nowMs - names.lastToldMs <= this.#keepMs) break;
      this.#directories.delete(directory);
      this.#names -= names.told.size;
    }
  }

  #sweepNames(names: Names, nowMs: number): void {
    names.sweepAtMs = nowMs + SWEEP_MS;
    for (const [name, toldAtMs] of names.told) {
      if (nowMs - toldAtMs <= this.#keepMs) break;
      names.told.delete(name);
      this.#names -= 1;
    }
  }
}
