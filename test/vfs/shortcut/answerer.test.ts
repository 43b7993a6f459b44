import { beforeEach, describe, expect, test } from 'vitest';
import { decodeAttr } from '../../../src/meta/attr-codec.ts';
import { DirectReply, readReply } from '../../../src/meta/redis/direct-reply.ts';
import type { Attr } from '../../../src/posix/attr.ts';
import { toIno } from '../../../src/posix/ino.ts';
import { SlotRing } from '../../../src/runtime/slot-ring.ts';
import { Answerer } from '../../../src/vfs/shortcut/answerer.ts';
import { ChangeMarks } from '../../../src/vfs/coherent/change-marks.ts';
import { FileTable } from '../../../src/vfs/shortcut/file-table.ts';
import { Notes } from '../../../src/vfs/shortcut/note.ts';
import { QuestionQueue } from '../../../src/vfs/shortcut/question-queue.ts';
import { Opcode } from '../../../src/vfs/shortcut/question.ts';
import { ShortcutStats } from '../../../src/vfs/shortcut/shortcut-stats.ts';
import { Switchboard } from '../../../src/vfs/shortcut/switchboard.ts';
import { encodeSyntheticAttr } from '../../servers/synthetic-codec.ts';

const INO = 77;
const HANDLE = 5;
const FILE_ID = 9;
const TICKET = 0xffff_fffe;
/** Of the answer to an open: @see struct fuse_out_header, struct fuse_open_out */
const FH_HIGH = 20;
const FH_LOW = 16;
const OPEN_FLAGS = 24;
const KEEP_CACHE = 2;

let table: FileTable;
let notes: Notes;
let questions: QuestionQueue;
let sent: Buffer[];
let errno: number;
let answerer: Answerer;

beforeEach(() => {
  table = FileTable.create();
  notes = Notes.create();
  questions = QuestionQueue.create();
  sent = [];
  errno = 0;
  const handles = SlotRing.create(8, 4);
  handles.view.setUint32(handles.claim(), HANDLE, true);
  handles.push();
  const data = {
    switchboard: Switchboard.create(1).shared,
    lines: [],
    opening: undefined,
    keyPrefix: '',
    root: { low: 1, high: 0 },
    deviceFd: -1,
    files: table.shared,
    notes: notes.shared,
    handles: handles.shared,
    stats: ShortcutStats.create().shared,
    marks: ChangeMarks.create(0).shared,
    timeouts: { attrMs: 1000, entryMs: 1000, dirEntryMs: 1000, negativeEntryMs: 0 },
    directIo: false,
    noFlush: true,
  };
  const out = new Uint8Array(256);
  answerer = new Answerer(data, out, (length) => {
    if (errno === 0) sent.push(Buffer.from(out.slice(0, length)));
    return errno;
  });
});

function storedAttr(length: number, seconds = 1000): Buffer {
  const time = { seconds, nanoseconds: 1 };
  return encodeSyntheticAttr({ type: 'file', mode: 0o644, nlink: 1, length, parent: 1, time });
}

function known(stored: Buffer, opened: boolean, believed = false, opensElsewhere = false): void {
  const attr = decodeAttr(stored) as Attr;
  const checked = { doubted: false, checkedMs: 0 };
  const state = { fileId: FILE_ID, opened, believed, opensElsewhere, ...checked };
  table.set(toIno(BigInt(INO)), { ...attr, ...state });
}

/** Whether a request about the file is answered when the server says `stored`. */
function isAnswered(opcode: number, bytes: number, stored: Buffer): boolean {
  const frame = new Uint8Array(bytes);
  const words = new Uint32Array(frame.buffer);
  words.set([bytes, opcode, 3, 0, INO, 0]);
  questions.add(frame, bytes, { nowMs: 0, ticket: TICKET });
  questions.look();
  const reply = new DirectReply();
  const received = Buffer.concat([
    Buffer.from(`$${stored.length}\r\n`),
    stored,
    Buffer.from('\r\n'),
  ]);
  readReply(received, 0, received.length, reply);
  const answered = answerer.answer(questions, received, reply);
  questions.drop();
  return answered;
}
const opens = (stored: Buffer) => isAnswered(Opcode.open, 48, stored);
const tells = (stored: Buffer) => isAnswered(Opcode.getattr, 56, stored);

describe('an open', () => {
  test('of a version that was opened before is answered and noted', () => {
    const stored = storedAttr(100);
    known(stored, true);
    expect(opens(stored)).toBe(true);
    const [answer] = sent as [Buffer];
    expect(answer.readUInt32LE(FH_LOW)).toBe(HANDLE);
    expect(answer.readUInt32LE(FH_HIGH)).toBe(FILE_ID);
    expect(answer.readUInt32LE(OPEN_FLAGS) & KEEP_CACHE).toBe(KEEP_CACHE);
    expect(notes.take()).toMatchObject({
      ...{ kind: 'opened', ino: toIno(BigInt(INO)), handle: HANDLE },
      ...{ fileId: FILE_ID, seen: { ticket: TICKET } },
    });
  });

  test('of a version that nobody has opened, with nothing to be forgotten, drops old pages', () => {
    const stored = storedAttr(100);
    known(stored, false, true);
    expect(opens(stored)).toBe(true);
    const [answer] = sent as [Buffer];
    expect(answer.readUInt32LE(OPEN_FLAGS) & KEEP_CACHE).toBe(0);
    expect(notes.take()).toMatchObject({ kind: 'opened', fileId: FILE_ID });
  });

  test('of another version than that with nothing to be forgotten is left to the main thread', () => {
    known(storedAttr(100), false, true);
    expect(opens(storedAttr(101))).toBe(false);
    expect(opens(storedAttr(100, 1001))).toBe(false);
    expect(sent).toEqual([]);
  });

  test('of a file that only the main thread opens is left to it, but its attribute is told', () => {
    const stored = storedAttr(100);
    known(stored, true, true, true);
    expect(opens(stored)).toBe(false);
    expect(sent).toEqual([]);
    expect(tells(stored)).toBe(true);
  });

  test('of a version that nobody has opened is left to who knows what the kernel believes', () => {
    const stored = storedAttr(100);
    known(stored, false);
    expect(opens(stored)).toBe(false);
    expect(sent).toEqual([]);
    expect(notes.take()).toBeUndefined();
  });

  test('of another version, or of a file that is not known, is left to the main thread', () => {
    expect(opens(storedAttr(100))).toBe(false);
    known(storedAttr(100), true);
    expect(opens(storedAttr(100, 1001))).toBe(false);
    expect(opens(storedAttr(101))).toBe(false);
    expect(sent).toEqual([]);
  });

  test('that the kernel does not take gives its handle back', () => {
    const stored = storedAttr(100);
    known(stored, true);
    errno = 2;
    expect(opens(stored)).toBe(true);
    expect(notes.take()).toMatchObject({ kind: 'opened', handle: HANDLE });
    expect(notes.take()).toEqual({ kind: 'released', handle: HANDLE });
  });

  test('without a handle at hand is left to the main thread', () => {
    const stored = storedAttr(100);
    known(stored, true);
    expect(opens(stored)).toBe(true);
    expect(opens(stored)).toBe(false);
  });
});

describe('an attribute', () => {
  test('that agrees, or of a file that is not kept, is told and noted', () => {
    const stored = storedAttr(100);
    expect(tells(stored)).toBe(true);
    known(stored, false);
    expect(tells(stored)).toBe(true);
    expect(sent).toHaveLength(2);
    expect(notes.take()).toMatchObject({ kind: 'told' });
  });

  test('of another version than the known one is left to the main thread', () => {
    known(storedAttr(100), true);
    expect(tells(storedAttr(100, 999))).toBe(false);
    expect(sent).toEqual([]);
  });
});
