import { createHash } from 'node:crypto';
import path from 'node:path';
import type { PeerGroup } from '../mesh/block-route.ts';
import { GroupRing } from '../mesh/group-ring.ts';
import type { Membership, PeerClient } from '../peer/block-exchange.ts';
import type { NodeId } from '../block/node-id.ts';
import { freshIdentity, loadOrCreateIdentity, type PeerIdentity } from '../peer/identity.ts';
import type { GroupMembership } from '../peer/membership.ts';
import { libp2pPeerHost, type MeshPeerHost } from '../peer/mesh-peer-host.ts';
import { systemNetwork } from '../peer/system-network.ts';
import type { DaemonContext } from './daemon-context.ts';
import { GroupDiscovery } from './group-discovery.ts';
import type { MountConfig } from './mount-config.ts';
import type { ShutdownStack } from './shutdown-stack.ts';
import type { OpenVolume } from './volume.ts';

/** This node's part in its cache group. */
export class CacheGroup implements PeerGroup {
  readonly host: MeshPeerHost;
  readonly ring: GroupRing;
  readonly membership: Membership;
  readonly client: PeerClient;
  readonly #members: GroupMembership;
  readonly #shutdown: ShutdownStack;

  constructor(host: MeshPeerHost, members: GroupMembership, shutdown: ShutdownStack) {
    this.host = host;
    this.client = host.client;
    this.membership = members;
    this.ring = new GroupRing(host.nodeId, members);
    this.#members = members;
    this.#shutdown = shutdown;
  }

  reportFailure(node: NodeId): void {
    this.#members.reportFailure(node);
  }

  /** Peers can reach this node from here on. */
  async listen(): Promise<void> {
    this.#shutdown.push('peer host', () => this.host.stop());
    await this.host.start();
  }

  /** Joins the others; resolves also when nobody is found. */
  async follow(): Promise<void> {
    this.#shutdown.push('membership', async () => {
      await this.#members.stop();
      this.ring.close();
    });
    await this.#members.start();
  }
}

/**
 * Prepares this node's part in `--cache-group`; nothing listens yet.
 *
 * @returns undefined without a group
 */
export async function joinGroup(
  parts: { config: MountConfig; volume: OpenVolume; shutdown: ShutdownStack },
  context: DaemonContext,
): Promise<CacheGroup | undefined> {
  const { config, volume, shutdown } = parts;
  const { name, weight, noSharing, peers, listen, announce } = config.group;
  if (name === undefined) return undefined;
  const host = libp2pPeerHost(await identityOf(config, volume.setting.uuid, context), {
    ...context,
    name: { group: name, volumeId: volume.setting.uuid },
    network: systemNetwork(),
    host: listen.host,
    port: listen.port,
    weight: noSharing ? 0 : weight,
    announce,
  });
  const discovery = new GroupDiscovery(volume.meta, name, context.clock);
  const members = host.membership({ discovery, peers, intervalMs: config.heartbeatMs });
  return new CacheGroup(host, members, shutdown);
}

/** Kept in the cache directory, so that a restarted daemon owns the same blocks as before. */
function identityOf(
  config: MountConfig,
  uuid: string,
  context: DaemonContext,
): Promise<PeerIdentity> {
  const [directory] = config.cache.dirs;
  if (directory === undefined) return freshIdentity();
  // By mountpoint: two mounts of one volume on one machine are two members.
  const name = createHash('sha256').update(config.mountpoint).digest('hex').slice(0, 16);
  const file = path.join(directory, uuid, 'cachemesh', `node-${name}.key`);
  return loadOrCreateIdentity(file, context.random);
}
