import { hostname, networkInterfaces } from 'node:os';
import type { SessionInfo } from '../meta/session.ts';
import type { Clock } from '../runtime/clock.ts';
import { isoTime } from '../runtime/iso-time.ts';
import type { CacheGroup } from './group.ts';
import type { MountConfig } from './mount-config.ts';
import { JUICEFS_VERSION, VERSION } from './version.ts';

/** @returns what this mount's session says at each heartbeat: JuiceFS's fields and ours */
export function sessionInfoOf(
  config: MountConfig,
  group: CacheGroup | undefined,
  clock: Clock,
): () => SessionInfo {
  const mountTime = isoTime(clock.wallMs());
  return () => ({
    // Stock clients parse it as a JuiceFS version; who we are stands behind the plus sign.
    Version: `${JUICEFS_VERSION}+cachemesh.${VERSION}`,
    HostName: hostname(),
    IPAddrs: addressesOfHost(),
    MountPoint: config.mountpoint,
    MountTime: mountTime,
    ProcessID: process.pid,
    ...(group === undefined ? {} : { CacheMesh: memberOf(config, group) }),
  });
}

function memberOf(config: MountConfig, group: CacheGroup) {
  return {
    Group: config.group.name ?? '',
    PeerId: group.host.nodeId,
    Addrs: group.host.addresses,
    Weight: group.host.weight,
    ...(config.group.zone === undefined ? {} : { Zone: config.group.zone }),
    NoSharing: config.group.noSharing,
  };
}

function addressesOfHost(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).filter(({ internal }) => !internal).map(({ address }) => address),
  );
}
