import { readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { LeaseKind, LeaseTable } from '../../src/runtime/lease-table.ts';

/** What a churn test gives to its worker. */
export interface ReaderData {
  readonly leases: SharedArrayBuffer;
  /** The memory tier's arena, when it is the memory tier that churns. */
  readonly arena: SharedArrayBuffer | undefined;
  /** Number of records, then records of three numbers: slot, generation, value of every byte. */
  readonly board: SharedArrayBuffer;
  /** Set to 1 to end the worker. */
  readonly stop: SharedArrayBuffer;
}

const data = workerData as ReaderData;
const leases = LeaseTable.attach(data.leases);
const board = new Int32Array(data.board);
const stop = new Int32Array(data.stop);
const arena = new Uint8Array(data.arena ?? new SharedArrayBuffer(0));
const buffer = new Uint8Array(1024 * 1024);
let state = 1;

function bytesOf(slot: number): Uint8Array {
  const at = leases.location(slot);
  const length = leases.lengthBytes(slot);
  if (leases.kind(slot) === LeaseKind.memory) return arena.subarray(at, at + length);
  return buffer.subarray(0, readSync(at, buffer, 0, length, 0));
}

function isWrong(slot: number, value: number): boolean {
  const bytes = bytesOf(slot);
  if (bytes.byteLength !== leases.lengthBytes(slot)) return true;
  for (let at = 0; at < bytes.byteLength; at += 61) if (bytes[at] !== value) return true;
  return bytes[bytes.byteLength - 1] !== value;
}

let pinned = 0;
let wrong = 0;
while (Atomics.load(stop, 0) === 0) {
  const count = Atomics.load(board, 0);
  if (count === 0) continue;
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  const record = count - 1 - ((state >>> 8) % Math.min(count, 64));
  const [slot, generation, value] = board.subarray(1 + 3 * record, 4 + 3 * record);
  if (!leases.pin(slot as number, generation as number)) continue;
  pinned += 1;
  if (isWrong(slot as number, value as number)) wrong += 1;
  leases.unpin(slot as number);
}
parentPort?.postMessage({ pinned, wrong });
