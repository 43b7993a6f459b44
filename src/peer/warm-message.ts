import { type BlockId, parseBlockId } from '../block/block-key.ts';
import { BLOCK_BYTES_MAX } from '../block/geometry.ts';
import { PeerError } from './block-exchange.ts';
import type { WireRecord } from './checked-msgpack.ts';
import { isIntegerIn } from './frame-codec.ts';

/** Blocks in one message at most; with their names they fit into a header of 64 KiB. */
export const WARM_IDS_MAX = 1000;
/** Blocks that a node fetches for one job at once, at most. */
export const WARM_PARALLEL_MAX = 1000;
/** Longest wait that a node may be asked for; the control plane answers within 5 s. */
export const WARM_WAIT_MS_MAX = 2_000;
const JOB_LENGTH_MAX = 64;
const ERROR_TEXT_MAX = 500;

/** What has become of one block of a batch. */
export const WarmOutcome = { pending: 0, fetched: 1, held: 2, failed: 3 } as const;
/** One of {@link WarmOutcome}. */
export type WarmOutcome = (typeof WarmOutcome)[keyof typeof WarmOutcome];

/** Asks a node to bring blocks into its cache, or how far it is with them. */
export interface WarmRequest {
  /** Names the job among all of its asker. */
  readonly job: string;
  /** Number of the batch in the job. */
  readonly batch: number;
  /** The batch's blocks; undefined when the node has been told already. */
  readonly ids: readonly BlockId[] | undefined;
  /** Blocks that may be fetched at once. */
  readonly parallel: number;
  /** The answer comes when the batch is done, or after this time. */
  readonly waitMs: number;
  /** The asker holds the blocks and hands them over: it is to be asked for them first. */
  readonly handover: boolean;
}

/** How far a node is with a batch. */
export interface WarmReply {
  /** One {@link WarmOutcome} per block, in the order asked; undefined: the batch is not known. */
  readonly outcomes: Uint8Array | undefined;
  /** What went wrong first, for people. */
  readonly error: string | undefined;
}

/** What a node has dropped. */
export interface Evicted {
  readonly blocks: number;
  readonly bytes: number;
}

/** The fields of a warm request. */
export function encodeWarmRequest(request: WarmRequest): WireRecord & { readonly type: 'warm' } {
  return { type: 'warm', ...request };
}

/** @throws PeerError (`protocol`) */
export function parseWarmRequest(message: WireRecord): WarmRequest {
  const { job, batch, ids, parallel, waitMs } = message;
  const handover = message['handover'] === true;
  if (!isJob(job) || !isIntegerIn(batch, 0, Number.MAX_SAFE_INTEGER)) throw invalid('warm');
  if (!isIntegerIn(parallel, 1, WARM_PARALLEL_MAX)) throw invalid('warm');
  if (!isIntegerIn(waitMs, 0, WARM_WAIT_MS_MAX)) throw invalid('warm');
  const known = ids === undefined ? undefined : parseIds(ids);
  return { job, batch, ids: known, parallel, waitMs, handover };
}

/** The fields of an answer to a warm request. */
export function encodeWarmReply(reply: WarmReply): WireRecord {
  return { outcomes: reply.outcomes, error: reply.error?.slice(0, ERROR_TEXT_MAX) };
}

/**
 * @param count - blocks of the batch
 * @throws PeerError (`protocol`)
 */
export function parseWarmReply(message: WireRecord, count: number): WarmReply {
  const { outcomes, error } = message;
  const text = typeof error === 'string' ? error.slice(0, ERROR_TEXT_MAX) : undefined;
  if (outcomes === undefined) return { outcomes, error: text };
  if (!(outcomes instanceof Uint8Array) || outcomes.byteLength !== count) throw invalid('warm');
  if (outcomes.some((outcome) => outcome > WarmOutcome.failed)) throw invalid('warm');
  return { outcomes: new Uint8Array(outcomes), error: text };
}

/** @throws PeerError (`protocol`) */
export function parseCancel(message: WireRecord): string {
  const { job } = message;
  if (!isJob(job)) throw invalid('warm-cancel');
  return job;
}

/** @throws PeerError (`protocol`) */
export function parseEvict(message: WireRecord): readonly BlockId[] {
  return parseIds(message['ids']);
}

/** The fields of an answer to an eviction; in a header `bytes` is the length of the payload. */
export function encodeEvicted({ blocks, bytes }: Evicted): WireRecord {
  return { blocks, blockBytes: bytes };
}

/** @throws PeerError (`protocol`) */
export function parseEvicted(message: WireRecord): Evicted {
  const { blocks, blockBytes: bytes } = message;
  if (!isIntegerIn(blocks, 0, WARM_IDS_MAX)) throw invalid('evict');
  if (!isIntegerIn(bytes, 0, WARM_IDS_MAX * BLOCK_BYTES_MAX)) throw invalid('evict');
  return { blocks, bytes };
}

function isJob(job: unknown): job is string {
  return typeof job === 'string' && job.length > 0 && job.length <= JOB_LENGTH_MAX;
}

function parseIds(ids: unknown): readonly BlockId[] {
  if (!Array.isArray(ids) || ids.length === 0 || ids.length > WARM_IDS_MAX) throw invalid('ids');
  for (const id of ids) {
    const key = typeof id === 'string' ? parseBlockId(id) : undefined;
    if (key === undefined || key.sizeBytes > BLOCK_BYTES_MAX) throw invalid('ids');
  }
  return ids as BlockId[];
}

function invalid(what: string): PeerError {
  return new PeerError('protocol', `a message about warming up with wrong fields: ${what}`);
}
