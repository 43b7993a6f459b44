import { constants } from 'node:fs';
import { type FileHandle, lstat, open, realpath } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { Errno } from '../posix/errno.ts';
import { CodedError } from '../runtime/coded-error.ts';
import { sleep } from '../runtime/deadline.ts';
import { cloneRequest, type ControlItem, nextItem } from '../vfs/internal/control-message.ts';
import { findMount } from './mount-table.ts';
import { type OneShot, runOneShot } from './one-shot.ts';
import { UsageError } from './quantities.ts';
import { tallyDisplay } from './tally-display.ts';

interface CloneOptions {
  readonly preserve?: boolean;
  readonly json?: boolean;
}

/** The mount did not make the copy; nothing of it is left. */
export class CloneError extends CodedError<'refused'> {}

const LOOK_AGAIN_MS = 50;
const ANSWER_BYTES = 64 * 1024;

/** The options of `cachemesh clone`. */
export function describeClone(command: Command): void {
  command
    .description('copy a file, or a directory with all that is in it, without copying its data')
    .argument('<SRC>', 'in a mount that was made with --read-write')
    .argument('<DST>', 'a name that is free, in the same mount; DIR/ keeps the name')
    .option('-p, --preserve', 'keep owner, mode and times')
    .option('--json', 'as JSON')
    .action((source: string, target: string, options: CloneOptions) =>
      clone(source, target, options),
    );
}

async function clone(source: string, target: string, options: CloneOptions): Promise<void> {
  const from = await placeOf(source);
  const to = await placeOf(target.endsWith('/') ? `${target}${path.basename(from.path)}` : target);
  const mount = await findMount(from.path);
  if (mount === undefined) throw new UsageError(`${source}: not in a cachemesh mount`);
  const { mountpoint } = mount;
  if ((await findMount(to.path))?.mountpoint !== mountpoint) {
    throw new UsageError(`${target}: not in the mount ${mountpoint}, where ${source} is`);
  }
  if (to.path.startsWith(`${from.path}/`)) throw new UsageError(`${target}: is below ${source}`);
  const copied = await runOneShot(async (context) => {
    const inoOf = async (each: string) => (await lstat(each, { bigint: true })).ino;
    const request = cloneRequest({
      source: await inoOf(from.path),
      sourceParent: await inoOf(from.directory),
      parent: await inoOf(to.directory),
      ...{ name: Buffer.from(to.name), umask: process.umask() },
      preserve: options.preserve === true,
    });
    const display = tallyDisplay(process.stderr, options.json !== true);
    try {
      return await ask(path.join(mountpoint, '.control'), request, context, (count) =>
        display.update(`${count} files and directories copied`),
      );
    } finally {
      display.end();
    }
  });
  const text = `${copied} files and directories copied`;
  process.stdout.write(`${options.json === true ? JSON.stringify({ copied }) : text}\n`);
}

/** Where a name is, whether there is something of that name or not. */
async function placeOf(given: string) {
  const absolute = path.resolve(given);
  const directory = await realpath(path.dirname(absolute)).catch((error: Error) => {
    throw new UsageError(`${given}: ${error.message}`);
  });
  const name = path.basename(absolute);
  return { directory, name, path: path.join(directory, name) };
}

/** @returns how many were copied */
async function ask(
  control: string,
  request: Uint8Array,
  { clock, signal }: OneShot,
  onProgress: (count: number) => void,
): Promise<number> {
  const handle = await open(control, constants.O_RDWR);
  try {
    await handle.write(request, 0, request.byteLength, 0);
    let position = request.byteLength;
    let count = 0;
    for (;;) {
      const items = await read(handle, position);
      for (const item of items) {
        if (item.kind === 'end') return checked(item.errno, count);
        if (item.kind === 'progress') count = Number(item.first);
        position += item.sizeBytes;
      }
      onProgress(count);
      // The mount takes back what it has copied when we leave.
      if (items.length === 0) await sleep(clock, LOOK_AGAIN_MS, signal);
    }
  } finally {
    await handle.close();
  }
}

async function read(handle: FileHandle, position: number): Promise<ControlItem[]> {
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(ANSWER_BYTES), { position });
  const items: ControlItem[] = [];
  for (let at = 0; at < bytesRead; ) {
    const item = nextItem(buffer.subarray(at, bytesRead));
    if (item === undefined) break;
    items.push(item);
    at += item.sizeBytes;
  }
  return items;
}

function checked(errno: number, count: number): number {
  if (errno === 0) return count;
  const [code] = Object.entries(Errno).find(([, number]) => number === errno) ?? [`error ${errno}`];
  const hint = code === 'EROFS' ? ': the mount is read-only' : '';
  throw new CloneError('refused', `the mount has not made the copy: ${code}${hint}`);
}
