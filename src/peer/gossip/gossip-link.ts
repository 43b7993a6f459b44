import type { NodeId } from '../../block/node-id.ts';
import type { ControlTarget } from '../control-plane.ts';
import type { GroupControl } from '../group-control.ts';
import {
  encodeGossip,
  type GossipMessage,
  parseGossip,
  parseProbe,
  type ProbeQuestion,
} from './gossip-message.ts';

/** How a member is asked. */
export interface AskOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** A connection on which no answer comes is given up. */
  readonly dropSilent?: boolean;
}

/** Carries what members tell each other; only members of the group get through. */
export interface GossipLink {
  /**
   * Tells a member something, and hears what it has to say.
   *
   * @returns with who answered, which the transport has proved
   * @throws PeerError; the signal's reason when aborted
   */
  tell(
    to: ControlTarget,
    message: GossipMessage,
    options: AskOptions,
  ): Promise<{ readonly from: NodeId; readonly message: GossipMessage }>;
  /** Whether `to` can reach another member. @throws PeerError; the signal's reason when aborted */
  probe(to: ControlTarget, question: ProbeQuestion, options: AskOptions): Promise<boolean>;
}

/** Answers what comes over a {@link GossipLink}. */
export interface GossipHandler {
  /** @throws PeerError */
  hear(from: NodeId, message: GossipMessage): GossipMessage;
  /** @throws PeerError */
  probe(from: NodeId, question: ProbeQuestion): Promise<boolean>;
}

/** {@link GossipLink} over the control plane. */
export class ControlGossipLink implements GossipLink {
  readonly #control: GroupControl;

  constructor(control: GroupControl) {
    this.#control = control;
  }

  /** Answers others from now on. */
  handle(handler: GossipHandler): void {
    this.#control.on('gossip', (from, fields) =>
      encodeGossip(handler.hear(from, parseGossip(fields))),
    );
    this.#control.on('probe', async (from, fields) => ({
      reached: await handler.probe(from, parseProbe(fields)),
    }));
  }

  async tell(to: ControlTarget, message: GossipMessage, options: AskOptions) {
    const question = { type: 'gossip', ...encodeGossip(message) };
    const { from, reply } = await this.#control.ask(to, question, options);
    return { from, message: parseGossip(reply) };
  }

  async probe(to: ControlTarget, question: ProbeQuestion, options: AskOptions): Promise<boolean> {
    const { reply } = await this.#control.ask(to, { type: 'probe', ...question }, options);
    return reply['reached'] === true;
  }
}
