import type { BlockKey } from '../../src/block/block-key.ts';
import { blockIdOf } from '../../src/block/block-key.ts';
import { pieceSums } from '../../src/block/piece-sums.ts';
import type { BlockHandler } from '../../src/peer/block-exchange.ts';
import { deriveGroupKey } from '../../src/peer/group-key.ts';
import { freshIdentity, type PeerIdentity } from '../../src/peer/identity.ts';
import { libp2pPeerHost, type MeshPeerHost } from '../../src/peer/mesh-peer-host.ts';
import { systemNetwork } from '../../src/peer/system-network.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { type MemoryMetrics, memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';

/** Bytes of a block that depend on its name and on their place, so that no mix-up passes. */
export function bytesOf(key: BlockKey): Uint8Array {
  const bytes = new Uint8Array(key.sizeBytes);
  let state = Number(key.sliceId % 65_521n) * 31 + key.index + 1;
  for (let at = 0; at < bytes.length; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** A handler that has every block, in pieces of `pieceBytes`. */
export function allBlocks(pieceBytes = 1024 * 1024): BlockHandler {
  const cached = new Map<string, Uint8Array>();
  return {
    async *serve(key, range) {
      const id = blockIdOf(key);
      const bytes = cached.get(id) ?? bytesOf(key);
      cached.set(id, bytes);
      const end = range.offset + range.length;
      for (let at = range.offset; at < end; at += pieceBytes) {
        yield bytes.subarray(at, Math.min(end, at + pieceBytes));
      }
    },
    holds: (ids) => ids.map(() => undefined),
  };
}

/** What members of the tests' group know. */
export const TEST_KEY = deriveGroupKey(Buffer.from('a secret of the tests'), 'test');

/** The group of the tests. */
export const TEST_NAME = { group: 'test', volumeId: '00000000-0000-4000-8000-000000000000' };

/** A handler whose blocks are in memory, all or those that `isHeld` says, and how many are held now. */
export function heldBlocks(isHeld: (key: BlockKey) => boolean = () => true) {
  const count = { held: 0, peak: 0, served: 0 };
  const all = allBlocks();
  const handler: BlockHandler = {
    ...all,
    async *serve(key, range, signal, asked) {
      count.served += 1;
      yield* all.serve(key, range, signal, asked);
    },
    hold(key, { offset, length }) {
      if (!isHeld(key)) return undefined;
      count.held += 1;
      count.peak = Math.max(count.peak, count.held);
      const bytes = bytesOf(key).subarray(offset, offset + length);
      const release = () => {
        // What is released is used again at once: a late read of it must show.
        bytes.fill(0xdd);
        count.held -= 1;
      };
      return { bytes, sums: pieceSums(bytes), release };
    },
  };
  return { handler, count };
}

/** A host and what it counted. */
export interface TestHost {
  readonly host: MeshPeerHost;
  readonly metrics: MemoryMetrics;
}

/** How a host differs from the others. */
export type HostOptions = Partial<Parameters<typeof libp2pPeerHost>[1]>;

/** Makes hosts on loopback; none is started. */
export async function makeHost(
  handler: BlockHandler,
  options: HostOptions & { identity?: PeerIdentity } = {},
): Promise<TestHost> {
  const { identity = await freshIdentity(), ...rest } = options;
  const metrics = memoryMetrics();
  const host = libp2pPeerHost(identity, {
    name: TEST_NAME,
    key: TEST_KEY,
    clock: systemClock,
    random: systemRandom,
    network: systemNetwork(),
    metrics,
    logger: silentLogger,
    host: '127.0.0.1',
    // The machine that runs the tests may be busy; tests of deadlines set their own.
    fetchTimeouts: { connectMs: 5000, silenceMs: 5000 },
    ...rest,
  });
  host.handle(handler);
  return { host, metrics };
}

/** Two started hosts that know each other. */
export async function makePair(
  handler: BlockHandler,
  options: { server?: HostOptions; client?: HostOptions } = {},
): Promise<{ server: TestHost; client: TestHost; stop: () => Promise<void> }> {
  const server = await makeHost(handler, options.server);
  const client = await makeHost(allBlocks(), options.client);
  await server.host.start();
  await client.host.start();
  client.host.learn(server.host.nodeId, server.host.addresses);
  const stop = async () => {
    await Promise.all([client.host.stop(), server.host.stop()]);
  };
  return { server, client, stop };
}

/** Brings a block of a pair with {@link allBlocks} to its client. @returns whether its bytes are right */
export async function bringsBlock(
  { client, server }: { readonly client: TestHost; readonly server: TestHost },
  key: BlockKey,
): Promise<boolean> {
  const into = new Uint8Array(key.sizeBytes);
  const whole = { offset: 0, length: key.sizeBytes };
  const { signal } = new AbortController();
  await client.host.client.fill(server.host.nodeId, key, whole, into, { signal });
  return Buffer.compare(into, bytesOf(key)) === 0;
}
