import type { BlockId } from '../block/block-key.ts';
import type { NodeId } from '../block/node-id.ts';
import type { AddressBook } from './address-book.ts';
import type { WireRecord } from './checked-msgpack.ts';
import type { GroupControl } from './group-control.ts';
import {
  encodeEvicted,
  encodeWarmReply,
  encodeWarmRequest,
  type Evicted,
  parseCancel,
  parseEvict,
  parseEvicted,
  parseWarmReply,
  parseWarmRequest,
  type WarmReply,
  type WarmRequest,
} from './warm-message.ts';

/** A node that does not answer for this long, beyond what it was asked to wait, is passed over. */
const ANSWER_TIMEOUT_MS = 2_500;
const CANCEL_TIMEOUT_MS = 1_000;

/** Does what other nodes ask for. Implemented above (mesh). */
export interface WarmHandler {
  /** Takes a batch, or says how far it is. @throws PeerError (`busy`) when too many are under way */
  warm(from: NodeId, request: WarmRequest): Promise<WarmReply>;
  /** Ends all batches of a job at once. */
  cancel(from: NodeId, job: string): void;
  /** Drops blocks from all tiers. */
  evict(ids: readonly BlockId[]): Evicted;
}

/** Asks other nodes to fill and clear their caches. Each call has a deadline of its own. */
export interface WarmClient {
  /**
   * @param count - blocks of the batch, also when `request.ids` does not repeat them
   * @throws PeerError; the signal's reason when aborted
   */
  warm(node: NodeId, request: WarmRequest, count: number, signal: AbortSignal): Promise<WarmReply>;
  /** @throws PeerError */
  cancel(node: NodeId, job: string): Promise<void>;
  /** @param ids - at most `WARM_IDS_MAX` @throws PeerError; the signal's reason when aborted */
  evict(node: NodeId, ids: readonly BlockId[], signal: AbortSignal): Promise<Evicted>;
}

/** Warm-up messages over the control plane, which is authenticated; blocks themselves do not pass. */
export class WarmExchange implements WarmClient {
  readonly #control: GroupControl;
  readonly #book: AddressBook;

  constructor(control: GroupControl, book: AddressBook) {
    this.#control = control;
    this.#book = book;
  }

  /** Answers the messages of others from now on. */
  handle(handler: WarmHandler): void {
    this.#control.on('warm', async (from, message) =>
      encodeWarmReply(await handler.warm(from, parseWarmRequest(message))),
    );
    this.#control.on('warm-cancel', (from, message) => {
      handler.cancel(from, parseCancel(message));
      return {};
    });
    this.#control.on('evict', (_from, message) =>
      encodeEvicted(handler.evict(parseEvict(message))),
    );
  }

  async warm(
    node: NodeId,
    request: WarmRequest,
    count: number,
    signal: AbortSignal,
  ): Promise<WarmReply> {
    const timeoutMs = request.waitMs + ANSWER_TIMEOUT_MS;
    return parseWarmReply(
      await this.#ask(node, encodeWarmRequest(request), { timeoutMs, signal }),
      count,
    );
  }

  async cancel(node: NodeId, job: string): Promise<void> {
    await this.#ask(node, { type: 'warm-cancel', job }, { timeoutMs: CANCEL_TIMEOUT_MS });
  }

  async evict(node: NodeId, ids: readonly BlockId[], signal: AbortSignal): Promise<Evicted> {
    const options = { timeoutMs: ANSWER_TIMEOUT_MS, signal };
    return parseEvicted(await this.#ask(node, { type: 'evict', ids }, options));
  }

  async #ask(
    node: NodeId,
    message: WireRecord & { readonly type: string },
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<WireRecord> {
    const target = { nodeId: node, addresses: this.#book.get(node) };
    return (await this.#control.ask(target, message, options)).reply;
  }
}
