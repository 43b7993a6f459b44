import type { NodeId } from '../../src/block/node-id.ts';

/** What both sides of the bench are started with. */
export interface SideSettings {
  readonly blockBytes: number;
  /** Blocks that the owner holds in memory. */
  readonly blocks: number;
  /** `--peer-threads`; 0: the main thread. */
  readonly threads: number;
}

/** A node of the owner's process. */
export interface OwnerNode {
  readonly nodeId: NodeId;
  readonly addresses: readonly string[];
}

/** What the owner says when it can be asked. */
export interface OwnerReady {
  readonly plain: OwnerNode;
  readonly encrypted: OwnerNode;
  /** Of servers of `node:net` and `node:tls`. @see raw-server.ts */
  readonly rawPorts: { readonly net: number; readonly tls: number; readonly echo: number };
}

/** CPU time of a process, all threads. */
export interface CpuSeconds {
  readonly cpuSeconds: number;
}

/** CPU time of the owner. */
export interface OwnerCpu extends CpuSeconds {
  /** Of its main thread alone. */
  readonly mainSeconds: number;
}

/** What the reader is to do. */
export interface ReaderTask {
  readonly row: string;
  readonly seconds: number;
  /** Requests under way at once. */
  readonly concurrency: number;
}

/** What it took. */
export interface ReaderResult extends CpuSeconds {
  /** Requests that a peer has answered; those are measured. */
  readonly operations: number;
  /** Those that the origin has answered, because the peer was late. */
  readonly strays: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly p50Us: number;
  readonly p99Us: number;
}
