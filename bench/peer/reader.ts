/**
 * The node that reads what the owner holds, in a process of its own. Each message is a task, each
 * answer its result; ends when its parent does.
 */
import { BulkTls } from '../../src/peer/bulk-tls.ts';
import { cpuSeconds } from './cpu-seconds.ts';
import { blockKeys } from './block-keys.ts';
import { BENCH_KEY, type MeshNode, startMeshNode } from './mesh-node.ts';
import type { OwnerNode, OwnerReady, ReaderResult, ReaderTask, SideSettings } from './messages.ts';
import { RawClient, type RawOptions } from './raw-client.ts';

/** One request of a row; the number tells requests apart. @returns whether the peer has answered it */
type Request = (turn: number) => Promise<boolean>;

const RANGE_BYTES = 64 * 1024;
/** Requests before the first measurement. @see warmUp */
const WARM_RANGES = 2000;
const WARM_BLOCKS = 200;
const never = new AbortController().signal;
const settings = JSON.parse(process.argv[2] as string) as SideSettings;
const owner = JSON.parse(process.argv[3] as string) as OwnerReady;
const { blockBytes } = settings;
const keys = blockKeys(settings);
const tls = new BulkTls(BENCH_KEY);
const plain = await startReader(owner.plain, false);
const encrypted = await startReader(owner.encrypted, true);
const { net, tls: tlsPort, echo } = owner.rawPorts;

/** One request each; a range begins where no block does. */
const ROWS: Record<string, { bytes: number; open: () => Promise<Request> }> = {
  'mesh-block': { bytes: blockBytes, open: () => meshRequest(plain, 0, blockBytes) },
  'mesh-range': { bytes: RANGE_BYTES, open: () => meshRequest(plain, RANGE_BYTES, RANGE_BYTES) },
  'tls-mesh-block': { bytes: blockBytes, open: () => meshRequest(encrypted, 0, blockBytes) },
  'tls-mesh-range': {
    bytes: RANGE_BYTES,
    open: () => meshRequest(encrypted, RANGE_BYTES, RANGE_BYTES),
  },
  'raw-block': { bytes: blockBytes, open: () => rawRequest(net, blockBytes) },
  'raw-range': { bytes: RANGE_BYTES, open: () => rawRequest(net, RANGE_BYTES) },
  'raw-memory-block': { bytes: blockBytes, open: () => rawBlocks(net, {}) },
  'raw-checked-block': { bytes: blockBytes, open: () => rawBlocks(net, { sums: true }) },
  'tls-raw-block': { bytes: blockBytes, open: () => rawRequest(tlsPort, blockBytes, { tls }) },
  'tls-raw-range': { bytes: RANGE_BYTES, open: () => rawRequest(tlsPort, RANGE_BYTES, { tls }) },
  'tls-raw-memory-block': { bytes: blockBytes, open: () => rawBlocks(tlsPort, { tls }) },
  'tls-raw-checked-block': {
    bytes: blockBytes,
    open: () => rawBlocks(tlsPort, { tls, sums: true }),
  },
  'echo-range': { bytes: RANGE_BYTES, open: echoRequest },
};

async function startReader(to: OwnerNode, encrypted: boolean): Promise<MeshNode> {
  const { nodeId, addresses } = to;
  const node = await startMeshNode({
    blockBytes,
    cacheBytes: 0,
    owner: nodeId,
    encrypted,
    threads: 0,
  });
  node.host.learn(nodeId, addresses);
  return node;
}

function meshRequest(node: MeshNode, offset: number, length: number): Promise<Request> {
  const whole = length === blockBytes;
  return Promise.resolve(async (turn) => {
    const key = keys[turn % keys.length] as (typeof keys)[number];
    const read = await node.loader.read(key, { offset, length }, { whole, signal: never });
    if (read.bytes.byteLength !== length) throw new Error('not all that was asked for');
    read.release();
    return read.from === 'peer';
  });
}

/** One hot buffer on each side. */
async function rawRequest(port: number, length: number, options?: RawOptions): Promise<Request> {
  const client = await RawClient.open(port, options);
  return () => client.get(length).then(() => true);
}

/** As a cache has to do it: from each block's own memory, to where the block is to lie. */
async function rawBlocks(port: number, options: RawOptions): Promise<Request> {
  const client = await RawClient.open(port, { ...options, into: new Uint8Array(blockBytes) });
  return (turn) => client.get(blockBytes, turn).then(() => true);
}

async function echoRequest(): Promise<Request> {
  const client = await RawClient.open(echo);
  const bytes = new Uint8Array(RANGE_BYTES);
  return () => client.echo(bytes).then(() => true);
}

async function run(task: ReaderTask): Promise<ReaderResult> {
  const { bytes, open } = ROWS[task.row] as (typeof ROWS)[string];
  const requests = await Promise.all(Array.from({ length: task.concurrency }, open));
  let turn = 0;
  // Connections open.
  await Promise.all(requests.map((request) => request(turn++)));
  const latenciesUs: number[] = [];
  let strays = 0;
  const cpuBefore = cpuSeconds();
  const startedMs = performance.now();
  const endMs = startedMs + task.seconds * 1000;
  await Promise.all(
    requests.map(async (request) => {
      for (let nowMs = performance.now(); nowMs < endMs; ) {
        const isByPeer = await request(turn++);
        const thenMs = performance.now();
        if (isByPeer) latenciesUs.push((thenMs - nowMs) * 1000);
        else strays += 1;
        nowMs = thenMs;
      }
    }),
  );
  const seconds = (performance.now() - startedMs) / 1000;
  latenciesUs.sort((one, other) => one - other);
  const at = (share: number) => latenciesUs[Math.floor(latenciesUs.length * share)] ?? 0;
  return {
    ...{ operations: latenciesUs.length, strays, bytes: latenciesUs.length * bytes, seconds },
    ...{ cpuSeconds: cpuSeconds() - cpuBefore, p50Us: at(0.5), p99Us: at(0.99) },
  };
}

/** A daemon runs for days: what its code costs before it is compiled is not measured. */
async function warmUp(): Promise<void> {
  for (const node of [plain, encrypted]) {
    const small = await meshRequest(node, RANGE_BYTES, RANGE_BYTES);
    for (let turn = 0; turn < WARM_RANGES; turn += 1) await small(turn);
    const whole = await meshRequest(node, 0, blockBytes);
    for (let turn = 0; turn < WARM_BLOCKS; turn += 1) await whole(turn);
  }
}

process.on('message', (task: ReaderTask) => {
  void run(task).then((result) => process.send?.(result));
});
process.on('disconnect', () => process.exit(0));
await warmUp();
process.send?.('ready');
