/**
 * Reads files of a synthetic volume by read(2) and compares every byte. A process of its own: what
 * it measures is not mixed with what the test does beside it, and a read that hangs hangs here.
 *
 * Standard input: a {@link ReadPlan} as JSON. Standard output: a {@link ReadResult} as JSON. A
 * message ends it after the file at hand; a signal would interrupt a read.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ReadPlan, ReadResult } from './readers.ts';
import type { SyntheticFile } from './synthetic-volume.ts';
import { wrongBytes } from './wrong-bytes.ts';

const REPORTED_MAX = 50;

const plan = JSON.parse(await text(process.stdin)) as ReadPlan;
const flags = constants.O_RDONLY | (plan.direct ? constants.O_DIRECT : 0);
const buffer = Buffer.alloc(plan.readBytes);
const result = { bytes: 0, reads: 0, slowestMs: 0, wrong: [] as string[], errors: [] as string[] };
let stopped = false;
process.on('message', () => {
  stopped = true;
});

async function main(): Promise<void> {
  for (let pass = 0; pass < plan.passes && !stopped; pass += 1) {
    for (const file of plan.files) {
      if (stopped) break;
      readFile(file);
      // Otherwise the message is never seen.
      await nextTurn();
    }
  }
  process.stdout.write(JSON.stringify(result satisfies ReadResult));
}

function readFile(file: SyntheticFile): void {
  let offset = 0;
  let fd: number | undefined;
  try {
    fd = timed(() => openSync(`${plan.mountpoint}/${file.path}`, flags));
    const { size } = fstatSync(fd);
    if (size !== file.sizeBytes) note(result.wrong, `${file.path}: ${size} bytes long`);
    while (offset < file.sizeBytes) {
      const length = readAt(fd, offset);
      for (const line of wrongBytes(file, offset, buffer.subarray(0, length)))
        note(result.wrong, line);
      if (length === 0) break;
      offset += length;
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    note(result.errors, `${code ?? String(error)} at ${offset} of ${file.path}`);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function readAt(fd: number, offset: number): number {
  const length = timed(() => readSync(fd, buffer, 0, buffer.length, offset));
  result.reads += 1;
  result.bytes += length;
  return length;
}

function timed<T>(work: () => T): T {
  const startMs = performance.now();
  try {
    return work();
  } finally {
    result.slowestMs = Math.max(result.slowestMs, performance.now() - startMs);
  }
}

function note(list: string[], line: string): void {
  if (list.length < REPORTED_MAX) list.push(line);
}

await main();
process.disconnect();
