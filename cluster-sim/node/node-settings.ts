import type { ChecksumMode } from '../../src/store/checksum-mode.ts';
import type { EvictionName } from '../../src/store/eviction/create-policy.ts';

/** How the nodes of a cluster are configured; the same on all of them. */
export interface NodeSettings {
  readonly replicas: number;
  readonly memoryBytes: number;
  readonly bufferBytes: number;
  /** 0: no cache directory. */
  readonly diskBytes: number;
  /** Cache directories, ≥ 1, when there is a disk at all. */
  readonly disks: number;
  readonly eviction: EvictionName;
  readonly verify: ChecksumMode;
  readonly prefetchWorkers: number;
  /** How often members are looked for. */
  readonly heartbeatMs: number;
  /** Of a request to the origin (`--get-timeout`). */
  readonly getTimeoutMs: number;
  /** Requests of one peer that are served at once. */
  readonly requestsPerPeer: number;
}

/** What daemons have by default, in the small. */
export const DEFAULT_SETTINGS: NodeSettings = {
  replicas: 1,
  memoryBytes: 4 * 2 ** 20,
  bufferBytes: 12 * 2 ** 20,
  diskBytes: 32 * 2 ** 20,
  disks: 1,
  eviction: 'steady',
  verify: 'once',
  prefetchWorkers: 1,
  heartbeatMs: 12_000,
  getTimeoutMs: 60_000,
  requestsPerPeer: 32,
};
