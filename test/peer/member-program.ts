/**
 * A member of a cache group in a process of its own: `node member-program.ts '<settings>'`. It is what
 * a daemon is to its peers, but for its blocks, which it makes up, and for what the settings say.
 * Answers each line of its standard input with one line of JSON, and ends when its input does.
 */
import { createInterface } from 'node:readline';
import { type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import { pieceSums } from '../../src/block/piece-sums.ts';
import type { BlockHandler, HeldRange } from '../../src/peer/block-exchange.ts';
import { deriveGroupKey } from '../../src/peer/group-key.ts';
import { loadOrCreateIdentity } from '../../src/peer/identity.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { sliceBytes } from '../servers/synthetic-bytes.ts';
import type { MemberReport, MemberSettings } from './member-process.ts';
import { makeHost } from './test-hosts.ts';

const ERRORS_MAX = 50;
const settings = JSON.parse(process.argv[2] as string) as MemberSettings;
const { blockBytes, volumeId, versions, encrypted, port } = settings;
const counts = { served: 0, read: 0 };
const errors: string[] = [];

function bytesAt(key: BlockKey, offset: number, length: number): Uint8Array {
  return sliceBytes(Number(key.sliceId), key.index * blockBytes + offset, length);
}

function hold(key: BlockKey, offset: number, length: number): HeldRange {
  counts.served += 1;
  const bytes = bytesAt(key, offset, length);
  const sums = pieceSums(bytes);
  if (settings.lies) bytes[length >> 1] = (bytes[length >> 1] as number) ^ 0x10;
  return { bytes, sums, release: () => undefined };
}

const handler: BlockHandler = {
  async *serve(key, { offset, length }) {
    counts.served += 1;
    yield bytesAt(key, offset, length);
  },
  hold: (key, { offset, length }) => hold(key, offset, length),
  holds: (ids) => ids.map(() => 'memory'),
};
const identity = await loadOrCreateIdentity(settings.identityPath, {
  random: systemRandom,
  logger: silentLogger,
});
const { host } = await makeHost(handler, {
  ...{ identity, port, versions, encrypted, name: { group: settings.group, volumeId } },
  key: deriveGroupKey(Buffer.from(settings.secret), volumeId),
});
await host.start();
const membership = host.membership();
await membership.start();

/** Reads from one member after the other for as long as the process lives. */
async function readOn(): Promise<void> {
  const never = new AbortController().signal;
  for (let turn = 0; settings.reads.length > 0; turn += 1) {
    const others = membership.current().members.filter(({ nodeId }) => nodeId !== host.nodeId);
    const other = others[turn % others.length];
    const [slice, index, sizeBytes] = settings.reads[turn % settings.reads.length] ?? [0, 0, 0];
    await new Promise((resolve) => setTimeout(resolve, other === undefined ? 50 : 2));
    if (other === undefined) continue;
    const key: BlockKey = { sliceId: BigInt(slice), index, sizeBytes };
    const into = new Uint8Array(key.sizeBytes);
    const range = { offset: 0, length: key.sizeBytes };
    try {
      await host.client.fill(other.nodeId, key, range, into, { signal: never });
      if (Buffer.compare(into, bytesAt(key, 0, key.sizeBytes)) === 0) counts.read += 1;
      else note(`${blockIdOf(key)}: wrong bytes`);
    } catch (error) {
      note(`${blockIdOf(key)} of ${other.nodeId}: ${String(error)}`);
    }
  }
}

function note(line: string): void {
  if (!stopping && errors.length < ERRORS_MAX) errors.push(line);
}

let stopping = false;
const print = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);
const report = (): MemberReport => {
  const members = membership.current().members.length;
  return { ...counts, errors, members };
};
void readOn();
print({ nodeId: host.nodeId, address: host.addresses[0] });
for await (const word of createInterface({ input: process.stdin })) {
  if (word !== 'stop') print(report());
  else {
    const last = report();
    stopping = true;
    await host.stop();
    print(last);
    break;
  }
}
process.exit(0);
