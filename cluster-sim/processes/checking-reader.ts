/**
 * Reads files of a mount without a rest and compares every byte. A process of its own: a read that
 * hangs hangs here. It tells the parent of everything that was wrong, failed or took long, with its
 * time, since only the parent knows whether the mount's own daemon was meant to be there.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { wrongBytes } from '../../test/servers/wrong-bytes.ts';
import type { SyntheticFile } from '../../test/servers/synthetic-volume.ts';

/** What a reader is started with, as its only argument in JSON. */
export interface ReaderPlan {
  readonly mountpoint: string;
  readonly files: readonly SyntheticFile[];
  /** Between two files at most. */
  readonly thinkMs: number;
  /** Reads that take longer are told. */
  readonly slowMs: number;
}

/** Something that the parent has to judge. Times are those of `Date.now()`. */
export interface ReaderEvent {
  readonly kind: 'wrong' | 'failed' | 'slow' | 'done';
  readonly startMs: number;
  readonly endMs: number;
  readonly text: string;
  /** With `done`: files read to their ends so far. */
  readonly reads: number;
}

const READ_BYTES = 2 ** 17;
const TOLD_EVERY_MS = 500;
/** A mount without a daemon fails at once. */
const FAILED_PAUSE_MS = 50;

const plan = JSON.parse(process.argv[2] ?? '') as ReaderPlan;
const buffer = Buffer.alloc(READ_BYTES);
let stopped = false;
let reads = 0;
process.once('disconnect', () => process.exit(0));
process.on('message', () => {
  stopped = true;
});

function tell(kind: ReaderEvent['kind'], startMs: number, text: string): void {
  process.send?.({ kind, startMs, endMs: Date.now(), text, reads } satisfies ReaderEvent);
}

function timed<T>(what: string, work: () => T): T {
  const startMs = Date.now();
  try {
    return work();
  } finally {
    if (Date.now() - startMs > plan.slowMs) tell('slow', startMs, what);
  }
}

/** @returns whether it could be read */
function readFile(file: SyntheticFile): boolean {
  const startMs = Date.now();
  let fd: number | undefined;
  try {
    const flags = constants.O_RDONLY | constants.O_DIRECT;
    fd = timed(`open ${file.path}`, () => openSync(`${plan.mountpoint}/${file.path}`, flags));
    const { size } = fstatSync(fd);
    if (size !== file.sizeBytes) tell('wrong', startMs, `${file.path}: ${size} bytes long`);
    for (let offset = 0; offset < file.sizeBytes; ) offset += checkedRead(fd, file, offset);
    reads += 1;
    return true;
  } catch (error) {
    tell(
      'failed',
      startMs,
      `${file.path}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
    );
    return false;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function checkedRead(fd: number, file: SyntheticFile, offset: number): number {
  const startMs = Date.now();
  const what = `${file.path} at ${offset}`;
  const length = timed(what, () => readSync(fd, buffer, 0, READ_BYTES, offset));
  for (const wrong of wrongBytes(file, offset, buffer.subarray(0, length))) {
    tell('wrong', startMs, wrong);
  }
  return Math.max(length, 1);
}

let toldMs = 0;
while (!stopped) {
  const file = plan.files[Math.floor(Math.random() * plan.files.length)] as SyntheticFile;
  const isRead = readFile(file);
  if (Date.now() - toldMs > TOLD_EVERY_MS) {
    tell('done', Date.now(), '');
    toldMs = Date.now();
  }
  await sleep(isRead ? Math.random() * plan.thinkMs : FAILED_PAUSE_MS);
}
tell('done', Date.now(), '');
process.disconnect();
