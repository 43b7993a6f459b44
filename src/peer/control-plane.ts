import type { NodeId } from '../block/node-id.ts';
import type { WireRecord } from './checked-msgpack.ts';

/** Whom to ask. */
export interface ControlTarget {
  /** Undefined when only an address is known; whoever answers there is told in the answer. */
  readonly nodeId: NodeId | undefined;
  /** Multiaddrs to dial when there is no connection. */
  readonly addresses: readonly string[];
}

/** An answer, and who gave it: identities are proved by the transport, not by the message. */
export interface ControlAnswer {
  readonly from: NodeId;
  /** The address that the answer came from, as far as the transport knows it. */
  readonly host: string | undefined;
  readonly reply: WireRecord;
}

/** Answers a message. A CodedError that it throws goes to the asker as `error` reply. */
export type ControlHandler = (from: NodeId, message: WireRecord) => Promise<WireRecord>;

/**
 * Small authenticated messages between nodes: one question, one answer. libp2p below, memory in
 * the simulator.
 */
export interface ControlTransport {
  readonly nodeId: NodeId;
  /** @throws when it cannot listen */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Port that it listens on, once started. */
  readonly port: number;
  /**
   * @throws PeerError (`unreachable`, `protocol`); the signal's reason when aborted: give it a
   *   deadline
   */
  ask(target: ControlTarget, message: WireRecord, signal: AbortSignal): Promise<ControlAnswer>;
  /** Must be called before `start`. */
  handle(handler: ControlHandler): void;
  /** Calls `onLost` whenever the last connection to a node has ended. */
  watch(onLost: (node: NodeId) => void): void;
  /** Drops connections to a node that does not answer on them. */
  disconnect(node: NodeId): void;
}
