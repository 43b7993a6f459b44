import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { toIno } from '../../../src/posix/ino.ts';
import { machineMs } from '../../../src/runtime/clock.ts';
import { SlotRing } from '../../../src/runtime/slot-ring.ts';
import { type Libc, loadLibc } from '../../../src/runtime/system/libc.ts';
import { ChangeMarks } from '../../../src/vfs/coherent/change-marks.ts';
import { FileTable } from '../../../src/vfs/shortcut/file-table.ts';
import { KnownOpener } from '../../../src/vfs/shortcut/known-opener.ts';
import { Notes } from '../../../src/vfs/shortcut/note.ts';
import { ShortcutStats } from '../../../src/vfs/shortcut/shortcut-stats.ts';
import { Switchboard } from '../../../src/vfs/shortcut/switchboard.ts';
import { makeTempDir } from '../../servers/temp.ts';
import { attrOf } from '../fake-meta.ts';

const INO = 77;
const FILE_ID = 9;
const HANDLES = [5, 6];
const OPEN_MS = 60_000;
/** Of the answer: @see struct fuse_out_header, struct fuse_open_out */
const ANSWER_BYTES = 32;
const UNIQUE = 8;
const FH_LOW = 16;
const FH_HIGH = 20;

let table: FileTable;
let marks: ChangeMarks;
let notes: Notes;
let switchboard: Switchboard;
let opener: KnownOpener;
let libc: { -readonly [Call in keyof Libc]: Libc[Call] };
let answers: () => Buffer;

beforeEach(async () => {
  const path = join(await makeTempDir('device'), 'answers');
  const deviceFd = openSync(path, 'w');
  answers = () => readFileSync(path);
  table = FileTable.create();
  marks = ChangeMarks.create(machineMs());
  notes = Notes.create(16);
  switchboard = Switchboard.create(1);
  const handles = SlotRing.create(8, 4);
  for (const handle of HANDLES) {
    handles.view.setUint32(handles.claim(), handle, true);
    handles.push();
  }
  const loaded = loadLibc();
  if (loaded === undefined) throw new Error('the tests have libc');
  libc = { ...loaded };
  const shared = { files: table.shared, marks: marks.shared };
  const opening = { deviceFd, ...shared, openMs: OPEN_MS, directIo: false, noFlush: true };
  opener = new KnownOpener(
    libc,
    { opening, root: { low: 1, high: 0 } },
    {
      ...{ line: 0, fd: -1, switchboard, questions: new SharedArrayBuffer(8) },
      ...{ notes: notes.shared, handles: handles.shared, stats: ShortcutStats.create().shared },
    },
  );
  return () => closeSync(deviceFd);
});

function live(): void {
  const nowMs = machineMs();
  marks.prove(nowMs, nowMs);
}

function known(changes: { doubted?: boolean; checkedMs?: number; opened?: boolean } = {}): void {
  const { doubted = false, checkedMs = machineMs(), opened = true } = changes;
  const state = { fileId: FILE_ID, opened, believed: false, opensElsewhere: false };
  table.set(toIno(BigInt(INO)), { ...attrOf(), ...state, doubted, checkedMs });
}

function opens(): boolean {
  return opener.open(Uint32Array.from([48, 14, 1234, 5, INO, 0, 0, 0, 0, 0, 0, 0]));
}

test('a file that was opened before is opened and noted without asking anybody', () => {
  live();
  known();
  expect(opens()).toBe(true);
  expect(notes.take()).toEqual({
    ...{ kind: 'opened', ino: toIno(BigInt(INO)), seen: undefined },
    ...{ handle: HANDLES[0], fileId: FILE_ID },
  });
  const answer = answers();
  expect(answer).toHaveLength(ANSWER_BYTES);
  expect(answer.readBigUInt64LE(UNIQUE)).toBe((5n << 32n) | 1234n);
  expect(answer.readUInt32LE(FH_LOW)).toBe(HANDLES[0]);
  expect(answer.readUInt32LE(FH_HIGH)).toBe(FILE_ID);
});

test('whatever is not certain is left to those who ask', () => {
  known();
  expect(opens()).toBe(false);
  live();
  known({ doubted: true });
  expect(opens()).toBe(false);
  known({ checkedMs: machineMs() - OPEN_MS });
  expect(opens()).toBe(false);
  known({ opened: false });
  expect(opens()).toBe(false);
  table.setUnsure(toIno(BigInt(INO)));
  expect(opens()).toBe(false);
  table.remove(toIno(BigInt(INO)));
  expect(opens()).toBe(false);
  known();
  switchboard.pause(true);
  expect(opens()).toBe(false);
  switchboard.pause(false);
  marks.lose();
  expect(opens()).toBe(false);
  marks.prove(machineMs() - 2_000, machineMs());
  expect(opens()).toBe(false);
  expect(answers()).toHaveLength(0);
  expect(notes.take()).toBeUndefined();
});

test('without a handle at hand nothing is opened', () => {
  live();
  known();
  expect([opens(), opens(), opens()]).toEqual([true, true, false]);
});

test('who waits until it has answered does not wait for a thread that fails', () => {
  live();
  known();
  libc.write = () => {
    throw new Error('no write');
  };
  expect(opens).toThrow('no write');
  expect(new Int32Array(switchboard.shared).every((word) => word === 0)).toBe(true);
});
