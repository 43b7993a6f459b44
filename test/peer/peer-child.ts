/**
 * A peer in a process of its own, which tests kill and stop: `node peer-child.ts '<settings>'`.
 * Prints one line of JSON when it is there, and ends when its standard input does.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BlockHandler } from '../../src/peer/block-exchange.ts';
import { loadOrCreateIdentity } from '../../src/peer/identity.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import type { ChildSettings } from './child-peer.ts';
import { allBlocks, makeHost } from './test-hosts.ts';

const settings = JSON.parse(process.argv[2] as string) as ChildSettings;
const all = allBlocks(settings.pieceBytes);
const handler: BlockHandler = {
  ...all,
  async *serve(key, range, signal, asked) {
    for await (const piece of all.serve(key, range, signal, asked)) {
      yield piece;
      await sleep(settings.pieceDelayMs);
    }
  },
};
const identity = await loadOrCreateIdentity(settings.identityPath, {
  random: systemRandom,
  logger: silentLogger,
});
const { host } = await makeHost(handler, { identity });
await host.start();
await host.membership({ peers: settings.peers }).start();
process.stdin.on('end', () => process.exit(0)).resume();
process.stdout.write(`${JSON.stringify({ nodeId: host.nodeId, addresses: host.addresses })}\n`);
