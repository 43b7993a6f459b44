import type { ShortcutPlan } from './request-shortcut.ts';

/** What a device worker is started with. */
export interface DeviceWorkerData {
  readonly fd: number;
  /** Number of the worker, from 0. */
  readonly index: number;
  readonly extents: SharedArrayBuffer;
  readonly leases: SharedArrayBuffer;
  readonly stats: SharedArrayBuffer;
  /** Where this worker notes closed handles. */
  readonly closed: SharedArrayBuffer;
  /** The buffer that memory leases are offsets in; undefined when they are addresses. */
  readonly memory: SharedArrayBuffer | undefined;
  /** Whether to call libc directly. */
  readonly useLibc: boolean;
  /** Another way for some requests. */
  readonly shortcut: ShortcutPlan | undefined;
  /** Requests that would change something are refused at once. */
  readonly isReadOnly: boolean;
}

/** A worker has answered a read from an extent that wants to be notified about. */
export interface TouchedMessage {
  readonly fh: bigint;
  readonly offset: number;
}

/** `unique` of a request that a worker has answered already; the kernel's are never 0. */
export const ANSWERED_UNIQUE = 0n;

/**
 * What a device worker posts: a request frame for the main thread, a touched extent, `ready` when it
 * is about to read for the first time, `closed` when closed handles should be looked after,
 * `unmounted` as the last message of an orderly end.
 */
export type DeviceWorkerMessage = Uint8Array | TouchedMessage | 'ready' | 'closed' | 'unmounted';
