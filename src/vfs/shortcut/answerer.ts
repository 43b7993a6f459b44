import { decodeAttr } from '../../meta/attr-codec.ts';
import type { DirectReply } from '../../meta/redis/direct-reply.ts';
import { type Attr, FileType } from '../../posix/attr.ts';
import { type Ino, toIno } from '../../posix/ino.ts';
import { SlotRing } from '../../runtime/slot-ring.ts';
import { fileHandle } from '../../fuse/operations.ts';
import {
  ATTR_OUT_BYTES,
  ENTRY_BYTES,
  OPEN_OUT_BYTES,
  OUT_HEADER_BYTES,
  writeAttrOut,
  writeEntry,
  writeOpen,
} from '../../fuse/wire/replies.ts';
import { machineMs } from '../../runtime/clock.ts';
import { ChangeMarks } from '../coherent/change-marks.ts';
import { FileTable } from './file-table.ts';
import { NOTE_ATTR_BYTES_MAX, Notes } from './note.ts';
import { inoHighOf, inoLowOf, nameOf, Opcode, opcodeOf } from './question.ts';
import type { QuestionQueue } from './question-queue.ts';
import type { AnswererData } from './shortcut-data.ts';
import { Switchboard } from './switchboard.ts';

/** Of an edge: file type, then the inode in 8 bytes. @see the volume format, "Directory" */
const EDGE_BYTES = 9;
/** Inodes beyond this are special, or damaged: the main thread knows better. */
const INO_HIGH_MAX = 2 ** 20;
const ROOT_LOW = 1;

/** Nobody waits for the answer any more; the mount is gone. @see asm-generic/errno-base.h */
const ENOENT = 2;
const ENODEV = 19;

/** An inode of the volume, as two 32-bit words. */
interface Inode {
  low: number;
  high: number;
}

/** Writes an answer to the device. @returns 0 or a positive errno */
export type SendAnswer = (lengthBytes: number) => number;

/**
 * Turns the server's replies into answers for the kernel, as far as what the main thread keeps of
 * the file agrees with them. All else goes to the main thread.
 */
export class Answerer {
  /** The answer is written here. */
  readonly out: Uint8Array;
  readonly #view: DataView;
  readonly #data: AnswererData;
  readonly #switchboard: Switchboard;
  readonly #files: FileTable;
  readonly #notes: Notes;
  readonly #marks: ChangeMarks;
  readonly #handles: SlotRing;
  readonly #send: SendAnswer;
  readonly #ino: Inode = { low: 0, high: 0 };
  readonly #stored: { bytes: Uint8Array; start: number; length: number };

  constructor(data: AnswererData, out: Uint8Array, send: SendAnswer) {
    this.#data = data;
    this.out = out;
    this.#view = new DataView(out.buffer, out.byteOffset, out.byteLength);
    this.#switchboard = new Switchboard(data.switchboard);
    this.#files = FileTable.attach(data.files);
    this.#notes = Notes.attach(data.notes);
    this.#marks = ChangeMarks.attach(data.marks);
    this.#handles = SlotRing.attach(data.handles);
    this.#send = send;
    this.#stored = { bytes: out, start: 0, length: 0 };
  }

  /**
   * @param bytes - what `reply` points into
   * @returns whether the request needs no other answer
   */
  answer(question: QuestionQueue, bytes: Uint8Array, reply: DirectReply): boolean {
    if (reply.kind === 'error') return false;
    this.#ino.low = inoLowOf(question.words);
    this.#ino.high = inoHighOf(question.words);
    switch (opcodeOf(question.words)) {
      case Opcode.lookup:
        return this.#lookup(question, bytes, reply);
      case Opcode.getattr:
        return this.#getattr(question, bytes, reply);
      case Opcode.open:
        return this.#open(question, bytes, reply);
      default:
        return false;
    }
  }

  #lookup(question: QuestionQueue, bytes: Uint8Array, reply: DirectReply): boolean {
    if (reply.kind === 'nil') return this.#absent(question);
    if (reply.count !== 2 || reply.lengths[0] !== EDGE_BYTES) return false;
    this.#toVolume();
    const directory = { ...this.#ino };
    const edge = reply.starts[0] as number;
    this.#ino.high = bigEndian(bytes, edge + 1);
    this.#ino.low = bigEndian(bytes, edge + 5);
    if (this.#ino.high >= INO_HIGH_MAX || (this.#ino.low | this.#ino.high) === 0) return false;
    const attr = this.#attrOf(bytes, reply, 1);
    if (attr === undefined) return false;
    this.#switchboard.beginAnswer();
    try {
      return this.#tellEntry(question, directory, attr);
    } finally {
      this.#switchboard.endAnswer();
    }
  }

  #tellEntry(question: QuestionQueue, directory: Inode, attr: Attr): boolean {
    const { entryMs, dirEntryMs } = this.#data.timeouts;
    const usualMs = attr.type === FileType.directory ? dirEntryMs : entryMs;
    const isNameHeld =
      usualMs > 0 && this.#marks.mayHoldName(directory, question.askedMs, machineMs());
    const isHeld = this.#mayHold(question);
    const entry = {
      ino: this.#kernelIno(),
      attr,
      entryTimeoutMs: isNameHeld ? Math.max(usualMs, this.#marks.keepMs) : usualMs,
      attrTimeoutMs: this.#attrTimeoutMs(isHeld),
    };
    this.#begin(question, ENTRY_BYTES);
    writeEntry(this.#view, OUT_HEADER_BYTES, entry);
    const name = nameOf(question.frame, question.length);
    if (isNameHeld && !this.#notes.named(directory, name)) return false;
    return this.#tell(attr, ENTRY_BYTES, isHeld);
  }

  #absent(question: QuestionQueue): boolean {
    this.#begin(question, ENTRY_BYTES);
    const negative = { ino: undefined, entryTimeoutMs: this.#data.timeouts.negativeEntryMs };
    writeEntry(this.#view, OUT_HEADER_BYTES, negative);
    return isOver(this.#send(OUT_HEADER_BYTES + ENTRY_BYTES));
  }

  #getattr(question: QuestionQueue, bytes: Uint8Array, reply: DirectReply): boolean {
    const kernelIno = this.#toVolume();
    const attr = this.#attrOf(bytes, reply, 0);
    if (attr === undefined) return false;
    this.#switchboard.beginAnswer();
    try {
      const isHeld = this.#mayHold(question);
      this.#begin(question, ATTR_OUT_BYTES);
      const told = { attr, attrTimeoutMs: this.#attrTimeoutMs(isHeld) };
      writeAttrOut(this.#view, OUT_HEADER_BYTES, kernelIno, told);
      return this.#tell(attr, ATTR_OUT_BYTES, isHeld);
    } finally {
      this.#switchboard.endAnswer();
    }
  }

  /**
   * Whether the kernel may hold the inode's attribute. The main thread hears of changes: it first marks
   * what was changed, then waits for the answer that is being made, then takes the notes.
   */
  #mayHold({ askedMs }: QuestionQueue): boolean {
    return (
      this.#data.timeouts.attrMs > 0 && this.#marks.mayHoldAttr(this.#ino, askedMs, machineMs())
    );
  }

  #attrTimeoutMs(isHeld: boolean): number {
    const { attrMs } = this.#data.timeouts;
    return isHeld ? Math.max(attrMs, this.#marks.keepMs) : attrMs;
  }

  /** Sends what is written, if the main thread does not know another version of the file. */
  #tell(attr: Attr, payloadBytes: number, isHeld: boolean): boolean {
    const isFile = attr.type === FileType.file;
    if (isFile && this.#files.look(this.#ino.low, this.#ino.high, attr) === 'ask') return false;
    const isNoted = isFile || isHeld;
    if (isNoted && !this.#notes.told(this.#ino, this.#stored, isHeld)) return false;
    return isOver(this.#send(OUT_HEADER_BYTES + payloadBytes));
  }

  #open(question: QuestionQueue, bytes: Uint8Array, reply: DirectReply): boolean {
    this.#toVolume();
    const attr = this.#attrOf(bytes, reply, 0);
    if (attr?.type !== FileType.file) return false;
    this.#switchboard.beginAnswer();
    try {
      return this.#openSame(question, attr);
    } finally {
      this.#switchboard.endAnswer();
    }
  }

  /**
   * Opens a file whose present version the main thread knows, and of which the kernel believes nothing
   * else: the version was opened before, which made it forget, or there was nothing to forget.
   */
  #openSame(question: QuestionQueue, attr: Attr): boolean {
    const at = this.#handles.peek();
    if (at === -1 || !this.#notes.haveRoom) return false;
    if (this.#files.look(this.#ino.low, this.#ino.high, attr) !== 'same') return false;
    const { wasOpened, isBelieved, opensElsewhere } = this.#files;
    if (opensElsewhere || (!wasOpened && !isBelieved)) return false;
    const handle = this.#handles.view.getUint32(at, true);
    const { fileId } = this.#files;
    const { ticket } = question;
    if (!this.#notes.opened(this.#ino, { handle, fileId, ticket }, this.#stored)) return false;
    this.#handles.drop();
    this.#begin(question, OPEN_OUT_BYTES);
    const fh = fileHandle(fileId, handle);
    const reply = { fh, keepCache: wasOpened, directIo: this.#data.directIo, cacheDir: false };
    writeOpen(this.#view, OUT_HEADER_BYTES, reply, this.#data.noFlush);
    const errno = this.#send(OUT_HEADER_BYTES + OPEN_OUT_BYTES);
    if (errno !== 0) this.#notes.released(handle);
    return isOver(errno);
  }

  #attrOf(bytes: Uint8Array, reply: DirectReply, index: number): Attr | undefined {
    const length = reply.lengths[index] as number;
    if (reply.kind !== 'items' || reply.count !== index + 1) return undefined;
    if (length <= 0 || length > NOTE_ATTR_BYTES_MAX) return undefined;
    const start = reply.starts[index] as number;
    this.#stored.bytes = bytes;
    this.#stored.start = start;
    this.#stored.length = length;
    return decodeAttr(bytes.subarray(start, start + length));
  }

  /** Success, with `payloadBytes` that are all zero so far. */
  #begin({ words }: QuestionQueue, payloadBytes: number): void {
    this.out.fill(0, 0, OUT_HEADER_BYTES + payloadBytes);
    this.#view.setUint32(0, OUT_HEADER_BYTES + payloadBytes, true);
    this.#view.setUint32(8, words[2] as number, true);
    this.#view.setUint32(12, words[3] as number, true);
  }

  /** Makes the request's inode the volume's. @returns the kernel's */
  #toVolume(): Ino {
    const { low, high } = this.#ino;
    if (low === ROOT_LOW && high === 0) {
      this.#ino.low = this.#data.root.low;
      this.#ino.high = this.#data.root.high;
    }
    return inoOf(low, high);
  }

  #kernelIno(): Ino {
    const { low, high } = this.#ino;
    const { root } = this.#data;
    return low === root.low && high === root.high ? inoOf(ROOT_LOW, 0) : inoOf(low, high);
  }
}

/** Whether nothing more is to be done. Whoever still waits gets an answer from the main thread. */
function isOver(errno: number): boolean {
  return errno === 0 || errno === ENOENT || errno === ENODEV;
}

function inoOf(low: number, high: number): Ino {
  return toIno((BigInt(high) << 32n) | BigInt(low));
}

function bigEndian(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  const low = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
  return high * 65_536 + low;
}
