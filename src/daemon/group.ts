import { createHash } from 'node:crypto';
import path from 'node:path';
import type { PeerGroup } from '../mesh/block-route.ts';
import { GroupRing } from '../mesh/group-ring.ts';
import type { WarmGroup } from '../mesh/warm/group-cache.ts';
import type { PeerClient } from '../peer/block-exchange.ts';
import type { NodeId } from '../block/node-id.ts';
import {
  freshIdentity,
  IdentityError,
  loadOrCreateIdentity,
  type PeerIdentity,
} from '../peer/identity.ts';
import type { GroupMembership } from '../peer/membership.ts';
import { libp2pPeerHost, type MeshPeerHost } from '../peer/mesh-peer-host.ts';
import { systemNetwork } from '../peer/system-network.ts';
import type { PeerHealth } from '../peer/peer-health.ts';
import type { Clock } from '../runtime/clock.ts';
import type { WarmClient } from '../peer/warm-exchange.ts';
import { ServeThreads } from '../mesh/threads/serve-threads.ts';
import type { ListenerMaker } from '../peer/bulk-listener.ts';
import type { LocalCache } from './cache.ts';
import type { DaemonContext } from './daemon-context.ts';
import { GroupDiscovery } from './group-discovery.ts';
import { groupKeyOf } from './group-secret.ts';
import type { MountConfig } from './mount-config.ts';
import type { ShutdownStack } from './shutdown-stack.ts';
import { VERSION } from './version.ts';
import type { OpenVolume } from './volume.ts';

/** This node's part in its cache group. */
export class CacheGroup implements PeerGroup, WarmGroup {
  readonly host: MeshPeerHost;
  readonly ring: GroupRing;
  readonly membership: GroupMembership;
  readonly client: PeerClient;
  readonly health: PeerHealth;
  readonly warm: WarmClient;
  readonly #shutdown: ShutdownStack;

  constructor(parts: {
    host: MeshPeerHost;
    members: GroupMembership;
    shutdown: ShutdownStack;
    clock: Clock;
    replicas: number;
  }) {
    const { host, members, shutdown, clock, replicas } = parts;
    this.host = host;
    this.client = host.client;
    this.health = host.health;
    this.warm = host.warm;
    this.membership = members;
    this.ring = new GroupRing(host.nodeId, members, { clock, replicas });
    this.#shutdown = shutdown;
  }

  reportFailure(node: NodeId): void {
    this.membership.reportFailure(node);
  }

  /** Peers can reach this node from here on. */
  async listen(): Promise<void> {
    this.#shutdown.push('peer host', () => this.host.stop());
    await this.host.start();
  }

  /** Joins the others; resolves also when nobody is found. */
  async follow(): Promise<void> {
    this.#shutdown.push('membership', async () => {
      await this.membership.stop();
      this.ring.close();
    });
    await this.membership.start();
  }
}

/**
 * Prepares this node's part in `--cache-group`; nothing listens yet.
 *
 * @returns undefined without a group
 */
export async function joinGroup(
  parts: { config: MountConfig; volume: OpenVolume; cache: LocalCache; shutdown: ShutdownStack },
  context: DaemonContext,
): Promise<CacheGroup | undefined> {
  const { config, volume, cache, shutdown } = parts;
  const { name, weight, zone, noSharing, peers, listen, announce, secretFile } = config.group;
  const { encrypt, threads, replicas } = config.group;
  if (name === undefined) return undefined;
  const host = libp2pPeerHost(await identityOf(config, volume.setting.uuid, context), {
    ...context,
    name: { group: name, volumeId: volume.setting.uuid },
    key: await groupKeyOf(secretFile, volume.setting, context.logger),
    encrypted: encrypt,
    network: systemNetwork(context),
    host: listen.host,
    port: listen.port,
    weight: noSharing ? 0 : weight,
    zone,
    version: VERSION,
    announce,
    listener: threadedListener(threads, cache, context),
  });
  const discovery = new GroupDiscovery(volume.meta, name, context.clock);
  const members = host.membership({ discovery, peers, intervalMs: config.heartbeatMs });
  return new CacheGroup({ host, members, shutdown, clock: context.clock, replicas });
}

/** @returns undefined: peers are served by the main thread */
function threadedListener(
  count: number,
  cache: LocalCache,
  context: DaemonContext,
): ListenerMaker | undefined {
  if (count === 0) return undefined;
  const options = { ...context, count, tiers: cache.place, memory: cache.arena };
  return (parts) => new ServeThreads(options, parts);
}

/** Kept in the cache directory, so that a restarted daemon owns the same blocks as before. */
async function identityOf(
  config: MountConfig,
  uuid: string,
  context: DaemonContext,
): Promise<PeerIdentity> {
  const [directory] = config.cache.dirs;
  if (directory === undefined) return freshIdentity();
  // By mountpoint: two mounts of one volume on one machine are two members.
  const name = createHash('sha256').update(config.mountpoint).digest('hex').slice(0, 16);
  const file = path.join(directory, uuid, 'cachemesh', `node-${name}.key`);
  try {
    return await loadOrCreateIdentity(file, context);
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    // A disk that is full or failing costs its blocks, and not the mount.
    context.logger.error({ err: error }, 'this node has an id for this run only');
    return freshIdentity();
  }
}
