import { type Attr, FileType } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';
import { SharedTable } from '../../runtime/shared-table.ts';

/** Words of a value. */
const FILE_ID = 0;
const FLAGS = 1;
const MTIME = 2;
const CTIME = 5;
const LENGTH = 8;
/** Behind what identifies the version. */
const CHECKED = 10;
const VALUE_WORDS = 11;
const Flag = { opened: 1, believed: 2, opensElsewhere: 4, doubted: 8 } as const;
/** Of the time in a word; times are compared modulo 2^32 of it. */
const CHECKED_UNIT_MS = 64;
/** The inode. */
const KEY_WORDS = 2;
/** Eight-way sets of so many seldom overflow with the files that are kept by default (10,000). */
const CAPACITY = 131_072;
const SHAPE = { keyWords: KEY_WORDS, valueWords: VALUE_WORDS, capacity: CAPACITY };

/** Is no number of nanoseconds, so that no attribute is like that. */
const NEVER = -1;

/** What identifies a content version. */
type VersionAttr = Pick<Attr, 'mtime' | 'ctime' | 'length'>;

/** What the main thread keeps of a version. */
interface VersionState {
  readonly fileId: number;
  readonly opened: boolean;
  readonly believed: boolean;
  /** Only the main thread opens the file. */
  readonly opensElsewhere: boolean;
  /** It may have changed since it was checked. */
  readonly doubted: boolean;
  /** When it was, by the machine's clock. */
  readonly checkedMs: number;
}

/** Which content version each known file has, told by the main thread to the answering thread. */
export class FileTable {
  readonly shared: SharedArrayBuffer;
  readonly #table: SharedTable;
  readonly #key = new Int32Array(KEY_WORDS);
  readonly #values = new Int32Array(VALUE_WORDS);
  readonly #wanted = new Int32Array(VALUE_WORDS);
  /** Of the version that {@link look} found. */
  fileId = 0;
  /** Whether that version was opened before: the kernel's pages of it are right. */
  wasOpened = false;
  /** Whether the kernel believes no attribute of another version. */
  isBelieved = false;
  /** Whether only the main thread opens the file. */
  opensElsewhere = false;

  private constructor(table: SharedTable) {
    this.#table = table;
    this.shared = table.shared;
  }

  static create(): FileTable {
    return new FileTable(SharedTable.create(SHAPE));
  }

  static attach(shared: SharedArrayBuffer): FileTable {
    return new FileTable(SharedTable.attach(shared));
  }

  /** Main thread: the file has this version now. */
  set(ino: Ino, version: VersionAttr & VersionState): void {
    writeVersion(this.#values, version);
    this.#values[FILE_ID] = version.fileId;
    const opened = version.opened ? Flag.opened : 0;
    const elsewhere = version.opensElsewhere ? Flag.opensElsewhere : 0;
    const doubted = version.doubted ? Flag.doubted : 0;
    this.#values[FLAGS] = opened | elsewhere | doubted | (version.believed ? Flag.believed : 0);
    this.#values[CHECKED] = Math.floor(version.checkedMs / CHECKED_UNIT_MS) | 0;
    writeWords(this.#key, 0, ino);
    this.#table.set(this.#key, this.#values);
  }

  /** Main thread: nobody else can tell the file's attribute. */
  setUnsure(ino: Ino): void {
    this.#values.fill(NEVER);
    writeWords(this.#key, 0, ino);
    this.#table.set(this.#key, this.#values);
  }

  /** Main thread: nothing is known of the file any more. */
  remove(ino: Ino): void {
    writeWords(this.#key, 0, ino);
    this.#table.remove(this.#key);
  }

  /**
   * Compares an attribute with what the main thread knows.
   *
   * @returns `same` (then {@link fileId} and what follows it are set), `unknown` for a file that the
   *   main thread does not keep, `ask` when only the main thread can tell
   */
  look(inoLow: number, inoHigh: number, attr: Attr): 'same' | 'unknown' | 'ask' {
    if (attr.type !== FileType.file) return 'unknown';
    this.#key[0] = inoLow;
    this.#key[1] = inoHigh;
    const found = this.#table.find(this.#key, this.#values);
    if (found === 'absent') return 'unknown';
    if (found === 'unsure') return 'ask';
    writeVersion(this.#wanted, attr);
    for (let word = MTIME; word < CHECKED; word++) {
      if (this.#values[word] !== this.#wanted[word]) return 'ask';
    }
    this.#take();
    return 'same';
  }

  /**
   * Looks for a file that nobody has changed since it was checked, as far as is known.
   *
   * @param checked - within the last `withinMs` before `nowMs`
   * @returns whether there is one; then {@link fileId} and what follows it are set
   */
  find(inoLow: number, inoHigh: number, checked: { withinMs: number; nowMs: number }): boolean {
    this.#key[0] = inoLow;
    this.#key[1] = inoHigh;
    if (this.#table.find(this.#key, this.#values) !== 'found') return false;
    this.#take();
    if (((this.#values[FLAGS] as number) & Flag.doubted) !== 0) return false;
    const now = Math.floor(checked.nowMs / CHECKED_UNIT_MS);
    const age = (now - (this.#values[CHECKED] as number)) | 0;
    return age >= 0 && (age + 1) * CHECKED_UNIT_MS <= checked.withinMs;
  }

  #take(): void {
    this.fileId = (this.#values[FILE_ID] as number) >>> 0;
    const flags = this.#values[FLAGS] as number;
    this.wasOpened = (flags & Flag.opened) !== 0;
    this.isBelieved = (flags & Flag.believed) !== 0;
    this.opensElsewhere = (flags & Flag.opensElsewhere) !== 0;
  }
}

function writeVersion(words: Int32Array, { mtime, ctime, length }: VersionAttr): void {
  words[MTIME] = mtime.seconds | 0;
  words[MTIME + 1] = Math.floor(mtime.seconds / 2 ** 32);
  words[MTIME + 2] = mtime.nanoseconds;
  words[CTIME] = ctime.seconds | 0;
  words[CTIME + 1] = Math.floor(ctime.seconds / 2 ** 32);
  words[CTIME + 2] = ctime.nanoseconds;
  writeWords(words, LENGTH, length);
}

/** Writes the lower and the upper half of a 64-bit number. */
function writeWords(words: Int32Array, at: number, value: bigint): void {
  words[at] = Number(BigInt.asIntN(32, value));
  words[at + 1] = Number(BigInt.asIntN(32, value >> 32n));
}
