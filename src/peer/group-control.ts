import type { NodeId } from '../block/node-id.ts';
import type { Clock } from '../runtime/clock.ts';
import { CodedError } from '../runtime/coded-error.ts';
import { DeadlineError, withDeadline } from '../runtime/deadline.ts';
import { LogThrottle } from '../runtime/log-throttle.ts';
import type { Logger } from '../runtime/logger.ts';
import { PeerError, type PeerErrorCode } from './block-exchange.ts';
import type { WireRecord } from './checked-msgpack.ts';
import type { ControlAnswer, ControlTarget, ControlTransport } from './control-plane.ts';
import type { PeerMetrics } from './peer-metrics.ts';

/** Version of the messages; another one is refused. */
const CONTROL_VERSION = 1;

/** Between two log lines about refused messages of one kind. */
const LINE_EVERY_MS = 5_000;

/** Which group of nodes, and whose blocks: nodes that differ in one of them have nothing to share. */
export interface GroupName {
  /** The cache group's name. */
  readonly group: string;
  /** The uuid of the volume. */
  readonly volumeId: string;
}

/** Answers one type of message of a node of our own group. */
export type GroupHandler = (from: NodeId, message: WireRecord) => WireRecord | Promise<WireRecord>;

/** Control messages inside one group: strangers, other groups and other volumes are refused. */
export class GroupControl {
  readonly #transport: ControlTransport;
  readonly #name: GroupName;
  readonly #clock: Clock;
  readonly #metrics: PeerMetrics;
  readonly #logger: Logger;
  readonly #throttle: LogThrottle;
  readonly #handlers = new Map<string, GroupHandler>();

  constructor(
    transport: ControlTransport,
    options: { name: GroupName; clock: Clock; metrics: PeerMetrics; logger: Logger },
  ) {
    this.#transport = transport;
    this.#name = options.name;
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    this.#logger = options.logger;
    this.#throttle = new LogThrottle(options.clock, LINE_EVERY_MS);
    transport.handle((from, message) => this.#receive(from, message));
  }

  /** Answers messages of `type` from now on. */
  on(type: string, handler: GroupHandler): void {
    this.#handlers.set(type, handler);
  }

  /**
   * Asks a node.
   *
   * @param message - with its `type`
   * @param options - `dropSilent`: a connection on which no answer comes is given up, because its
   *   other end may be gone; only for deadlines so long that a busy peer meets them
   * @throws PeerError; the signal's reason when aborted
   */
  async ask(
    target: ControlTarget,
    message: WireRecord & { readonly type: string },
    options: { timeoutMs: number; signal?: AbortSignal | undefined; dropSilent?: boolean },
  ): Promise<ControlAnswer> {
    const envelope = { ...message, ...this.#name, version: CONTROL_VERSION };
    const what = `${message.type} to ${target.nodeId ?? target.addresses.join(', ')}`;
    try {
      const answer = await withDeadline(this.#clock, { what, ...options }, (signal) =>
        this.#transport.ask(target, envelope, signal),
      );
      throwErrorReply(answer.reply, what);
      return answer;
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
      if (options.dropSilent && target.nodeId !== undefined) {
        this.#transport.disconnect(target.nodeId);
      }
      throw new PeerError('timeout', error.message, { retryable: true, cause: error });
    }
  }

  async #receive(from: NodeId, message: WireRecord): Promise<WireRecord> {
    const { type } = message;
    try {
      this.#check(message);
      const handler = typeof type === 'string' ? this.#handlers.get(type) : undefined;
      if (handler === undefined) throw new PeerError('protocol', 'a message of unknown type');
      return { ...(await handler(from, message)), type: 'ok' };
    } catch (error) {
      const code = error instanceof CodedError ? error.code : 'failed';
      this.#metrics.controlErrors(code).add();
      const leftOut = this.#throttle.admit(code);
      if (leftOut !== undefined) {
        const fields = { peer: from, type, leftOut, err: error };
        this.#logger.warn(fields, 'a control message was refused');
      }
      return { type: 'error', code, message: error instanceof Error ? error.message : 'failed' };
    }
  }

  #check(message: WireRecord): void {
    const { version, group, volumeId } = message;
    if (version !== CONTROL_VERSION) {
      throw new PeerError(
        'protocol',
        `control version ${String(version)} is not spoken here, only ${CONTROL_VERSION}`,
      );
    }
    if (group !== this.#name.group) {
      throw new PeerError('failed', `this node is of another group than ${String(group)}`);
    }
    if (volumeId !== this.#name.volumeId) {
      throw new PeerError('failed', `this node serves another volume than ${String(volumeId)}`);
    }
  }
}

/**
 * What an answer may say of who gives it. The others (`unreachable`, `corrupt`, …) would be about a
 * third node, and blame the wrong one here.
 */
const KNOWN_CODES: ReadonlySet<unknown> = new Set<PeerErrorCode>([
  'busy',
  'protocol',
  'timeout',
  'forbidden',
  'encryption',
]);

function throwErrorReply(reply: WireRecord, what: string): void {
  if (reply['type'] === 'ok') return;
  const code = KNOWN_CODES.has(reply['code']) ? (reply['code'] as PeerErrorCode) : 'failed';
  const text = typeof reply['message'] === 'string' ? reply['message'].slice(0, 1000) : 'refused';
  throw new PeerError(code, `${what}: ${text}`, { retryable: code === 'busy' });
}
