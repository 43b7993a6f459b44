import assert from 'node:assert/strict';
import { parentPort, workerData } from 'node:worker_threads';
import { loadLibc } from '../../runtime/system/libc.ts';
import { Answerer } from './answerer.ts';
import { Notes } from './note.ts';
import { ReplyLoop } from './reply-loop.ts';
import type { AnswererData, AnswererMessage } from './shortcut-data.ts';
import { ShortcutStats } from './shortcut-stats.ts';

/** Longest answer: header and entry. */
const ANSWER_BYTES_MAX = 256;

/*
 * Entry of the thread that answers what workers have asked the metadata server. It blocks in poll(2)
 * all its life, so its event loop never turns; it ends when the shortcut is stopped.
 */
const data = workerData as AnswererData;
assert(parentPort !== null);
const port = parentPort;
const libc = loadLibc();
assert(libc !== undefined, 'the main thread has libc');
const post = (message: AnswererMessage) => port.postMessage(message);
const out = new Uint8Array(new ArrayBuffer(ANSWER_BYTES_MAX));
const address = libc.addressOf(out);
const notes = Notes.attach(data.notes);
const answerer = new Answerer(data, out, (length) =>
  libc.write(data.deviceFd, address, length) === length ? 0 : libc.errno(),
);
const loop = new ReplyLoop({
  libc,
  data,
  answerer,
  stats: new ShortcutStats(data.stats),
  notesAreMany: () => notes.areMany,
  post,
});
post({ type: 'ready' });
loop.run();
