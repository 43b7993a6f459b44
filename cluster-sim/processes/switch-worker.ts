/**
 * The switch of a network in user space: it reads IP packets from a TUN device per place, loses,
 * delays and doubles them as the link table says, and writes them to the device of the place that
 * their destination names. A thread of its own, which ends when the stop flag is set.
 */
import { workerData } from 'node:worker_threads';
import { type Libc, loadLibc } from '../../src/runtime/system/libc.ts';
import { REORDER_MS } from '../network/link-rules.ts';
import { EventQueue } from '../world/event-queue.ts';
import { LinkTable } from './link-table.ts';

/** What the switch is started with. */
export interface SwitchData {
  /** Of each place's device; place `n` has the address that ends in `n + 1`. */
  readonly descriptors: readonly number[];
  readonly links: SharedArrayBuffer;
  /** An Int32: not 0 ends the switch. */
  readonly stop: SharedArrayBuffer;
}

const PACKET_BYTES_MAX = 65_536;
/** Of one link, waiting for its bandwidth; more is lost, as in a router. */
const BACKLOG_MS_MAX = 1_000;
const PACKETS_MAX = 20_000;
const POLL_MS_MAX = 50;
const POLLIN = 1;
const IPV4_VERSION = 4;
const IPV4_DESTINATION_LAST = 19;

const { descriptors, links, stop } = workerData as SwitchData;
const libc = neededLibc();
const table = new LinkTable(descriptors.length, links);
const stopFlag = new Int32Array(stop);
/** Packets on their way. */
const queue = new EventQueue();
/** When each link has sent what it was given. */
const freeAtMs = new Float64Array(descriptors.length ** 2);
const buffer = Buffer.alloc(PACKET_BYTES_MAX);
const bufferAddress = libc.addressOf(buffer);
const polled = Buffer.alloc(8 * descriptors.length);
const polledAddress = libc.addressOf(polled);

function neededLibc(): Libc {
  const loaded = loadLibc();
  if (loaded === undefined) throw new Error('the switch needs koffi');
  return loaded;
}

function deliverDue(): void {
  const nowMs = performance.now();
  for (let next = queue.pop(nowMs); typeof next === 'object'; next = queue.pop(nowMs)) next.run();
}

function deliver(bytes: Uint8Array, to: number): void {
  buffer.set(bytes);
  libc.write(descriptors[to] as number, bufferAddress, bytes.length);
}

function forward(from: number, length: number): void {
  if ((buffer[0] as number) >> 4 !== IPV4_VERSION) return;
  const to = (buffer[IPV4_DESTINATION_LAST] as number) - 1;
  if (to < 0 || to >= descriptors.length || table.get(from, to, 'cut') !== 0) return;
  if (Math.random() < table.get(from, to, 'lossRate') || queue.size >= PACKETS_MAX) return;
  const nowMs = performance.now();
  const link = from * descriptors.length + to;
  const startMs = Math.max(nowMs, freeAtMs[link] as number);
  if (startMs - nowMs > BACKLOG_MS_MAX) return;
  const sentMs = startMs + length / table.get(from, to, 'bytesPerMs');
  freeAtMs[link] = sentMs;
  const jitterMs = Math.random() * table.get(from, to, 'jitterMs');
  const isHeldUp = Math.random() < table.get(from, to, 'reorderRate');
  const heldUpMs = isHeldUp ? Math.random() * REORDER_MS : 0;
  const dueMs = sentMs + table.get(from, to, 'latencyMs') + jitterMs + heldUpMs;
  const bytes = Uint8Array.from(buffer.subarray(0, length));
  const arrive = () => deliver(bytes, to);
  queue.push(dueMs, arrive);
  if (Math.random() < table.get(from, to, 'duplicateRate')) queue.push(dueMs, arrive);
}

function receive(from: number): void {
  // Bounded, so that a place that sends much does not keep the others' packets waiting.
  for (let count = 0; count < 32; count += 1) {
    const length = libc.read(descriptors[from] as number, bufferAddress, PACKET_BYTES_MAX);
    if (length <= 0) return;
    forward(from, length);
  }
}

while (Atomics.load(stopFlag, 0) === 0) {
  descriptors.forEach((descriptor, place) => {
    polled.writeInt32LE(descriptor, 8 * place);
    polled.writeInt16LE(POLLIN, 8 * place + 4);
    polled.writeInt16LE(0, 8 * place + 6);
  });
  const waitMs = (queue.nextMs ?? Number.POSITIVE_INFINITY) - performance.now();
  // Whole milliseconds only: below one it turns without a rest, and is exact.
  libc.poll(
    polledAddress,
    descriptors.length,
    Math.floor(Math.max(0, Math.min(POLL_MS_MAX, waitMs))),
  );
  for (let place = 0; place < descriptors.length; place += 1) {
    if (polled.readInt16LE(8 * place + 6) !== 0) receive(place);
  }
  deliverDue();
}
