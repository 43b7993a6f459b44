import assert from 'node:assert/strict';
import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { errnoOf } from './errno-of.ts';

/*
 * Entry of the thread that writes notices. While the kernel drops pages it waits for reads of these
 * pages that are under way, so the write can take until another thread has answered them: a thread
 * that answers requests must never write a notice.
 */
assert(parentPort !== null);
const port = parentPort;
const { fd } = workerData as { fd: number };

/** Writes each notice of a batch and posts the errnos of those that failed. */
port.on('message', (batch: readonly Uint8Array[]) => {
  const errnos: number[] = [];
  for (const notice of batch) {
    try {
      writeSync(fd, notice);
    } catch (error) {
      errnos.push(errnoOf(error));
    }
  }
  port.postMessage(errnos);
});
