/**
 * The owner of all blocks, in a process of its own: answers over the mesh, plain and encrypted, and,
 * beside it, as plain socket servers. Tells its CPU time when asked; ends when its parent does.
 */
import { BulkTls } from '../../src/peer/bulk-tls.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { blockKeys } from './block-keys.ts';
import { cpuSeconds, mainThreadSeconds } from './cpu-seconds.ts';
import { BENCH_KEY, fillMemory, startMeshNode } from './mesh-node.ts';
import type { OwnerNode, OwnerReady, SideSettings } from './messages.ts';
import { startEchoServer, startRawServer } from './raw-server.ts';

const settings = JSON.parse(process.argv[2] as string) as SideSettings;
const { blockBytes, blocks } = settings;

async function startOwner(encrypted: boolean): Promise<OwnerNode> {
  const cacheBytes = blocks * blockBytes;
  const node = await startMeshNode({ ...settings, cacheBytes, owner: undefined, encrypted });
  fillMemory(node, blockKeys(settings));
  return { nodeId: node.host.nodeId, addresses: node.host.addresses };
}

const rawBlocks = Array.from({ length: blocks }, () => systemRandom.bytes(blockBytes));
const ready: OwnerReady = {
  plain: await startOwner(false),
  encrypted: await startOwner(true),
  rawPorts: {
    net: await startRawServer(rawBlocks),
    tls: await startRawServer(rawBlocks, new BulkTls(BENCH_KEY)),
    echo: await startEchoServer(),
  },
};
process.on('message', () => {
  process.send?.({ cpuSeconds: cpuSeconds(), mainSeconds: mainThreadSeconds() });
});
process.on('disconnect', () => process.exit(0));
process.send?.(ready);
