import type { BlockId, BlockKey } from '../../block/block-key.ts';
import type { ByteRange } from '../../block/byte-range.ts';
import type { NodeId } from '../../block/node-id.ts';
import type { Asked, HeldIn, PeerErrorCode } from '../../peer/block-exchange.ts';
import type { ServeTimeouts } from '../../peer/bulk-session.ts';
import type { MemberCredentials } from '../../peer/member-credentials.ts';
import type { Endpoint } from '../../peer/network.ts';
import type { ServeLimitOptions } from '../../peer/serve-limits.ts';
import type { LogFields } from '../../runtime/logger.ts';
import type { CountedBatch } from '../../runtime/relayed-metrics.ts';
import type { SharedMemoryPlace } from '../../runtime/system/shared-memory.ts';
import type { SlotRange } from '../../store/slot-range.ts';

/** The local tiers as other threads see them. */
export interface TiersPlace {
  readonly leases: SharedArrayBuffer;
  /** Of the memory tier: index, checksums and slots. */
  readonly index: SharedArrayBuffer;
  readonly sums: SharedArrayBuffer;
  readonly slots: SlotRange;
  readonly memory: SharedMemoryPlace;
  /** Index of cache files; undefined without a cache directory. */
  readonly files: SharedArrayBuffer | undefined;
}

/** What a serving thread is started with. */
export interface ServeThreadData {
  readonly tiers: TiersPlace;
  readonly credentials: MemberCredentials;
  readonly limits: ServeLimitOptions;
  readonly timeouts: ServeTimeouts;
  readonly at: Endpoint;
}

/** An error on its way between threads. */
export interface ErrorWords {
  readonly message: string;
  /** Of a PeerError. */
  readonly code: PeerErrorCode | undefined;
  /** Of a ReferralError. */
  readonly holders: readonly NodeId[] | undefined;
}

/** What a serving thread says. `call` is the number of a question that the main thread answers. */
export type ServeThreadMessage =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'refused'; readonly message: string; readonly code: string | undefined }
  | {
      readonly type: 'serve';
      readonly call: number;
      readonly key: BlockKey;
      readonly range: ByteRange;
      readonly asked: Asked;
    }
  /** The last piece was used; the next one may come. */
  | { readonly type: 'next'; readonly call: number }
  /** Nobody waits for the answer any more. */
  | { readonly type: 'cancel'; readonly call: number }
  | { readonly type: 'holds'; readonly call: number; readonly ids: readonly BlockId[] }
  | { readonly type: 'counted'; readonly batch: CountedBatch }
  | {
      readonly type: 'log';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly fields: LogFields;
      readonly message: string;
    }
  | { readonly type: 'stopped' };

/** What the main thread says to a serving thread. */
export type ServeMainMessage =
  /** Bytes in the shared arena stay there until `next` or `cancel`; others come along. */
  | {
      readonly type: 'piece';
      readonly call: number;
      readonly place: number;
      readonly length: number;
    }
  | { readonly type: 'bytes'; readonly call: number; readonly bytes: Uint8Array }
  | { readonly type: 'end'; readonly call: number }
  | { readonly type: 'failed'; readonly call: number; readonly error: ErrorWords }
  | { readonly type: 'tiers'; readonly call: number; readonly tiers: readonly HeldIn[] }
  | { readonly type: 'stop' };
