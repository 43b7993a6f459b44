import { parentPort, workerData } from 'node:worker_threads';
import { LeaseTable } from '../../src/runtime/lease-table.ts';

/** What the stress test gives to each of its workers. */
export interface StressData {
  readonly leases: SharedArrayBuffer;
  /** Per slot the generation that was published last. */
  readonly board: SharedArrayBuffer;
  /** Per slot `words` numbers, all equal to the generation while it is published. */
  readonly memory: SharedArrayBuffer;
  readonly words: number;
  /** Set to 1 to end the worker. */
  readonly stop: SharedArrayBuffer;
}

const data = workerData as StressData;
const leases = LeaseTable.attach(data.leases);
const board = new Int32Array(data.board);
const memory = new Int32Array(data.memory);
const stop = new Int32Array(data.stop);
let pinned = 0;
let refused = 0;
let wrong = 0;
for (let slot = 0; Atomics.load(stop, 0) === 0; slot = (slot + 1) % board.length) {
  const generation = Atomics.load(board, slot);
  if (!leases.pin(slot, generation)) {
    refused += 1;
    continue;
  }
  pinned += 1;
  for (let round = 0; round < 3; round += 1) {
    for (let word = 0; word < data.words; word += 1) {
      if (memory[slot * data.words + word] !== generation) wrong += 1;
    }
  }
  leases.unpin(slot);
}
parentPort?.postMessage({ pinned, refused, wrong });
