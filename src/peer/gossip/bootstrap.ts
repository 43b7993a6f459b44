import type { NodeId } from '../../block/node-id.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { withDeadline } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import { type Random, shuffle } from '../../runtime/random.ts';
import type { ControlTarget } from '../control-plane.ts';
import type { DiscoverySource } from '../discovery-source.ts';
import type { PeerMetrics } from '../peer-metrics.ts';
import type { Gossip } from './gossip.ts';
import type { MemberTable } from './member-table.ts';

const DISCOVERY_TIMEOUT_MS = 5_000;
/** A handshake on a busy machine takes some 100 ms. */
const CONTACT_TIMEOUT_MS = 2_000;
/** Contacts that are enough: they know the others. */
const CONTACTS_ENOUGH = 3;
const CONTACTED_AT_ONCE = 8;
/** Nodes that are tried in one round; most sessions of a volume may be of daemons that crashed. */
const CONTACTS_TRIED_MAX = 256;
/** Who is alone though others are, or may be, listed tries again after this, then at doubling intervals. */
const ALONE_DELAY_MS = 1_000;

/** What a {@link Bootstrap} works with. */
export interface BootstrapParts {
  readonly self: NodeId;
  readonly table: MemberTable;
  readonly gossip: Gossip;
  /** Undefined: only `peers`, and those who come to us. */
  readonly discovery: DiscoverySource | undefined;
  /** Multiaddrs of nodes to join. */
  readonly peers: readonly string[];
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: PeerMetrics;
  readonly logger: Logger;
  readonly signal: () => AbortSignal;
}

/**
 * Finds the first other members, where gossip has nobody to begin with: among the sessions in the
 * metadata and at configured addresses.
 *
 * In a group of N each node looks with probability 1/N in each interval, so that the metadata is
 * asked about once an interval by the whole group, however large it is; and two halves of a group
 * that do not know each other still find each other.
 */
export class Bootstrap {
  readonly #parts: BootstrapParts;
  /** Who answered at a configured address. */
  readonly #answeredAt = new Map<string, NodeId>();
  #timer: Timer | undefined;
  #aloneDelayMs = ALONE_DELAY_MS;

  constructor(parts: BootstrapParts) {
    this.#parts = parts;
  }

  /** Looks for others once, and from then on now and then. */
  async start(): Promise<void> {
    this.#aloneDelayMs = ALONE_DELAY_MS;
    try {
      await this.#look();
    } finally {
      this.#arm();
    }
  }

  stop(): void {
    this.#timer?.cancel();
  }

  get #isAlone(): boolean {
    return this.#parts.table.presentCount <= 1;
  }

  #arm(): void {
    const { clock, random, intervalMs, logger, signal } = this.#parts;
    if (signal().aborted) return;
    // Between 0.75 and 1.25 of the interval, so that nodes started together spread out.
    const usualMs = intervalMs * (0.75 + random.below(1000) / 2000);
    const delayMs = this.#isAlone ? Math.min(usualMs, this.#aloneDelayMs) : usualMs;
    this.#timer = clock.setTimer(delayMs, () => {
      this.#turn()
        .catch((error: unknown) => logger.error({ err: error }, 'looking for members broke'))
        .finally(() => this.#arm());
    });
  }

  async #turn(): Promise<void> {
    const { random, table } = this.#parts;
    if (random.below(table.presentCount) === 0) await this.#look();
  }

  async #look(): Promise<void> {
    const { random } = this.#parts;
    const listed = await this.#listed();
    const found = shuffle([...(listed ?? []), ...this.#unanswered()], random);
    let enough = CONTACTS_ENOUGH;
    const queue = found.slice(0, CONTACTS_TRIED_MAX);
    const work = async () => {
      for (let target = queue.pop(); target !== undefined; target = queue.pop()) {
        if (enough <= 0 || this.#parts.signal().aborted) return;
        if (await this.#contact(target)) enough -= 1;
      }
    };
    await Promise.all(Array.from({ length: CONTACTED_AT_ONCE }, work));
    const { intervalMs } = this.#parts;
    // Who could not ask is no better off than who found nobody that answers.
    const isLost = this.#isAlone && (found.length > 0 || listed === undefined);
    this.#aloneDelayMs = isLost ? Math.min(this.#aloneDelayMs * 2, intervalMs) : intervalMs;
  }

  /** Those in the metadata whom we do not know as alive; undefined when it does not answer. */
  async #listed(): Promise<ControlTarget[] | undefined> {
    const { discovery, clock, logger, metrics, signal, table, self } = this.#parts;
    if (discovery === undefined) return [];
    const options = { what: 'discovery', timeoutMs: DISCOVERY_TIMEOUT_MS, signal: signal() };
    try {
      const found = await withDeadline(clock, options, (inner) => discovery.list(inner));
      metrics.discoveries.add();
      return found
        .filter(({ nodeId }) => nodeId !== self && table.get(nodeId)?.state !== 'alive')
        .map(({ nodeId, addresses }) => ({ nodeId, addresses }));
    } catch (error) {
      // Who was there stays: an unreachable database must not break up the group.
      metrics.discoveryErrors.add();
      if (!signal().aborted) logger.warn({ err: error }, 'discovery failed');
      return undefined;
    }
  }

  #unanswered(): ControlTarget[] {
    const { peers, table } = this.#parts;
    const missing = peers.filter((address) => {
      const node = this.#answeredAt.get(address);
      return node === undefined || table.get(node)?.state !== 'alive';
    });
    return missing.map((address) => ({ nodeId: undefined, addresses: [address] }));
  }

  async #contact(target: ControlTarget): Promise<boolean> {
    const { gossip, logger } = this.#parts;
    try {
      const from = await gossip.compare(target, CONTACT_TIMEOUT_MS);
      if (target.nodeId === undefined) {
        for (const address of target.addresses) this.#answeredAt.set(address, from);
      }
      return true;
    } catch (error) {
      const peer = target.nodeId ?? target.addresses.join();
      logger.info({ peer, err: error }, 'a node did not answer our hello');
      return false;
    }
  }
}
