import { fileHandle } from '../../fuse/operations.ts';
import { OPEN_OUT_BYTES, OUT_HEADER_BYTES, writeOpen } from '../../fuse/wire/replies.ts';
import { machineMs } from '../../runtime/clock.ts';
import { SlotRing } from '../../runtime/slot-ring.ts';
import type { Libc } from '../../runtime/system/libc.ts';
import { ChangeMarks } from '../coherent/change-marks.ts';
import { FileTable } from './file-table.ts';
import { Notes } from './note.ts';
import { inoHighOf, inoLowOf, Opcode } from './question.ts';
import type { LineData, OpeningData, ShortcutData } from './shortcut-data.ts';
import { ShortcutStats } from './shortcut-stats.ts';
import type { Switchboard } from './switchboard.ts';

const ANSWER_BYTES = OUT_HEADER_BYTES + OPEN_OUT_BYTES;
/** The kernel's inode of the mount's root. */
const ROOT_LOW = 1;
/** Nobody waits for the answer any more; the mount is gone. @see asm-generic/errno-base.h */
const ENOENT = 2;
const ENODEV = 19;

/**
 * In a worker thread: opens files that were opened before and that nobody has changed since, as far as
 * has been heard, without asking anybody (`--open-cache`, while the metadata server tells of changes).
 */
export class KnownOpener {
  readonly #libc: Libc;
  readonly #switchboard: Switchboard;
  readonly #line: number;
  readonly #data: OpeningData;
  readonly #root: ShortcutData['root'];
  readonly #files: FileTable;
  readonly #marks: ChangeMarks;
  readonly #notes: Notes;
  readonly #handles: SlotRing;
  readonly #stats: ShortcutStats;
  readonly #out = new Uint8Array(new ArrayBuffer(ANSWER_BYTES));
  readonly #view = new DataView(this.#out.buffer);
  readonly #address: number;
  readonly #ino = { low: 0, high: 0 };

  /** @param own - the worker's number, and what it shares with the main thread alone */
  constructor(
    libc: Libc,
    data: { opening: OpeningData; root: ShortcutData['root'] },
    own: { line: number; switchboard: Switchboard } & LineData,
  ) {
    this.#libc = libc;
    this.#data = data.opening;
    this.#root = data.root;
    this.#switchboard = own.switchboard;
    this.#line = own.line;
    this.#files = FileTable.attach(data.opening.files);
    this.#marks = ChangeMarks.attach(data.opening.marks);
    this.#notes = Notes.attach(own.notes);
    this.#handles = SlotRing.attach(own.handles);
    this.#stats = new ShortcutStats(own.stats);
    this.#address = libc.addressOf(this.#out);
  }

  /** @param words - of an OPEN for reading. @returns whether it was answered */
  open(words: Uint32Array): boolean {
    const mayOpen = this.#switchboard.beginOpen(this.#line);
    try {
      return mayOpen && this.#open(words);
    } finally {
      // The main thread waits for it without end, even when this thread is about to die.
      this.#switchboard.endOpen(this.#line);
    }
  }

  #open(words: Uint32Array): boolean {
    const nowMs = machineMs();
    if (!this.#marks.isAlive(nowMs)) return false;
    const at = this.#handles.peek();
    if (at === -1 || !this.#notes.haveRoom) return false;
    this.#setIno(words);
    const { low, high } = this.#ino;
    if (!this.#files.find(low, high, { withinMs: this.#data.openMs, nowMs })) return false;
    const { wasOpened, isBelieved, opensElsewhere, fileId } = this.#files;
    if (opensElsewhere || (!wasOpened && !isBelieved)) return false;
    const handle = this.#handles.view.getUint32(at, true);
    this.#notes.reopened(this.#ino, { handle, fileId });
    this.#handles.drop();
    const errno = this.#send(words, fileHandle(fileId, handle), wasOpened);
    if (errno !== 0) this.#notes.released(handle);
    if (errno !== 0 && errno !== ENOENT && errno !== ENODEV) return false;
    this.#stats.count(Opcode.open, machineMs() - nowMs);
    return true;
  }

  #setIno(words: Uint32Array): void {
    const low = inoLowOf(words);
    const high = inoHighOf(words);
    const isRoot = low === ROOT_LOW && high === 0;
    this.#ino.low = isRoot ? this.#root.low : low;
    this.#ino.high = isRoot ? this.#root.high : high;
  }

  /** @returns 0 or a positive errno */
  #send(words: Uint32Array, fh: bigint, keepCache: boolean): number {
    this.#out.fill(0);
    this.#view.setUint32(0, ANSWER_BYTES, true);
    this.#view.setUint32(8, words[2] as number, true);
    this.#view.setUint32(12, words[3] as number, true);
    const { directIo, noFlush, deviceFd } = this.#data;
    const reply = { fh, keepCache, directIo, cacheDir: false };
    writeOpen(this.#view, OUT_HEADER_BYTES, reply, noFlush);
    const sent = this.#libc.write(deviceFd, this.#address, ANSWER_BYTES);
    return sent === ANSWER_BYTES ? 0 : this.#libc.errno();
  }
}
