import type { BlockHandler } from './block-exchange.ts';
import type { ServeTimeouts } from './bulk-session.ts';
import type { MemberCredentials } from './member-credentials.ts';
import type { Endpoint } from './network.ts';
import type { ServeLimitOptions } from './serve-limits.ts';

/** Takes bulk connections and serves them: on this thread, or on others. */
export interface BulkListener {
  /** The port that it listens on; 0 while it does not. */
  readonly port: number;
  /** @throws the system's error when the address cannot be listened on */
  start(at: Endpoint): Promise<void>;
  /** Cuts off everyone. */
  stop(): Promise<void>;
}

/** What a listener works with; all but the handler can be handed to a worker thread. */
export interface ListenerParts {
  readonly handler: BlockHandler;
  readonly credentials: MemberCredentials;
  readonly limits: ServeLimitOptions;
  readonly timeouts: ServeTimeouts;
}

/** Makes a listener of another kind than the host's own. */
export type ListenerMaker = (parts: ListenerParts) => BulkListener;
