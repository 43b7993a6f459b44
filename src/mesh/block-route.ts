import assert from 'node:assert/strict';
import { type BlockId, type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { NodeId } from '../block/node-id.ts';
import type { PeerClient } from '../peer/block-exchange.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Random } from '../runtime/random.ts';
import type { AttemptRequest, AttemptResult, FillAttempt } from './fill-attempt.ts';
import { FillRace, type RaceTarget } from './fill-race.ts';
import { HedgeBudget } from '../runtime/hedge-budget.ts';
import type { LoadMetrics } from './load-metrics.ts';
import { type OriginBlocks, OriginSource } from './origin-source.ts';
import { OwnerStanding } from './owner-standing.ts';
import { type PeerPace, silentMs, slowMs } from './peer-pace.ts';
import { BlockReadError } from './loader.ts';
import { type StagedBlocks, StageSource } from './stage-source.ts';
import type { StrayHolders } from './stray-holders.ts';
import { type GatheredBlock, type GatherOptions, PeerSource } from './peer-source.ts';
import { type Asker, peerStep, planRoute, type RoutePlan, type RouteStep } from './route-plan.ts';

/** Former owners that are considered. */
const FORMER_MAX = 3;

/** The sources of a block that waits here to be uploaded: nobody else is sure to have it. */
const STAGED: readonly RouteStep[] = [{ kind: 'stage' }, { kind: 'origin' }];

/** The plan outside of a cache group. */
const ALONE: RoutePlan = {
  level: 'end',
  keepOnDisk: true,
  isAstray: false,
  steps: [{ kind: 'origin' }],
};

/** Where blocks come from beyond this node. */
export interface RouteParts {
  readonly origin: OriginBlocks;
  /** New blocks that wait here to be uploaded; undefined where that does not happen. */
  readonly staged?: StagedBlocks | undefined;
  /** Looks for blocks that the origin lacks; undefined where nobody can be asked. */
  readonly strays?: Pick<StrayHolders, 'find'> | undefined;
  /** Undefined outside a cache group. */
  readonly group: PeerGroup | undefined;
  /** Nodes that keep each block (`--replicas`), ≥ 1; all members have the same. */
  readonly replicas: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: LoadMetrics;
  readonly logger: Logger;
}

/** Who owns which block; {@link GroupRing} follows the membership. */
export interface OwnerRing {
  readonly self: NodeId;
  owners(id: BlockId, count: number): readonly NodeId[];
  nearest(id: BlockId, count: number, turn: number): readonly NodeId[];
  formerOwners(id: BlockId, count: number): readonly NodeId[];
}

/** The other members of the cache group. */
export interface PeerGroup {
  readonly ring: OwnerRing;
  readonly client: PeerClient;
  /** How fast the others usually are. */
  readonly health: PeerPace;
  /** A member did not deliver; the membership decides what that means. */
  reportFailure(node: NodeId): void;
}

/** Brings bytes of a block from the peers that keep it, else from the origin. */
export class BlockRoute {
  readonly #parts: RouteParts;
  readonly #standing: OwnerStanding;
  readonly #budget = new HedgeBudget();
  readonly #origin: OriginSource;
  readonly #stage: StageSource | undefined;
  readonly #peers: PeerSource | undefined;
  readonly #spread: number;

  constructor(parts: RouteParts) {
    this.#parts = parts;
    this.#standing = new OwnerStanding(parts.clock);
    this.#origin = new OriginSource(parts.origin, parts.metrics);
    this.#stage = parts.staged && new StageSource({ ...parts, staged: parts.staged });
    this.#spread = parts.random.below(1_000_003);
    const { group } = parts;
    if (group === undefined) return;
    this.#peers = new PeerSource({
      ...parts,
      client: group.client,
      standing: this.#standing,
      reportFailure: (node) => group.reportFailure(node),
    });
  }

  /**
   * The sources of a block, as things stand, for whom it is fetched.
   *
   * @param holder - a member that is known to have it
   */
  plan(key: BlockKey, asker: Asker, holder?: NodeId): RoutePlan {
    const plan = this.#planBeyond(key, asker, holder);
    if (!this.isStaged(blockIdOf(key))) return plan;
    return { level: 'end', keepOnDisk: plan.keepOnDisk, isAstray: false, steps: STAGED };
  }

  /** Whether a block waits here to be uploaded. */
  isStaged(id: BlockId): boolean {
    return this.#parts.staged?.has(id) === true;
  }

  #planBeyond(key: BlockKey, asker: Asker, holder: NodeId | undefined): RoutePlan {
    const { group, replicas } = this.#parts;
    if (group === undefined) return ALONE;
    const { ring } = group;
    const id = blockIdOf(key);
    const owners = ring.owners(id, Math.max(2, replicas + 1));
    const holders = owners.slice(0, replicas);
    const former = ring.formerOwners(id, FORMER_MAX);
    const plan = planRoute(asker, {
      self: ring.self,
      holders,
      nearest: replicas === 1 ? holders : ring.nearest(id, replicas, this.#spread),
      next: owners[replicas],
      former: holder === undefined ? former : [holder, ...former],
      usable: (node) => this.#standing.usable(node),
    });
    // Nobody waits for it, and its holder is sure to have it: the origin must not be troubled.
    return holder === undefined ? plan : { ...plan, isPatient: true };
  }

  /** The other nodes that keep a block when this one is the first of them; else none. */
  followers(key: BlockKey): readonly NodeId[] {
    const { group, replicas } = this.#parts;
    if (group === undefined || replicas === 1) return [];
    const [first, ...others] = group.ring.owners(blockIdOf(key), replicas);
    return first === group.ring.self ? others : [];
  }

  /** Whether a peer and this node both keep a block. */
  isFellow(key: BlockKey, peer: NodeId): boolean {
    const { group, replicas } = this.#parts;
    if (group === undefined || replicas === 1) return false;
    const holders = group.ring.owners(blockIdOf(key), replicas);
    return holders.includes(group.ring.self) && holders.includes(peer);
  }

  /**
   * Fills `target.into` along a plan. A source that fails midway is followed by the next one from
   * where it stopped: bytes that were reported are never written again, and nothing is written once
   * this has settled.
   *
   * @throws BlockReadError; the signal's reason when aborted
   */
  async fill(plan: RoutePlan, target: RaceTarget): Promise<void> {
    const { clock, metrics, group } = this.#parts;
    this.#budget.earn();
    const pace = group?.health;
    const rules = {
      clock,
      tryStep: (request: AttemptRequest) => this.#try(request, plan),
      slowMs: (step: RouteStep) => slowMs(pace, step),
      silentMs: (step: RouteStep) => silentMs(pace, step),
      mayHedge: () => plan.isPatient !== true && this.#budget.take(),
      onSilent: (lost: FillAttempt) => this.#onSilent(lost),
      onHedge: metrics.hedge.bind(metrics),
    };
    await new FillRace(rules, target, plan.steps).run();
  }

  /**
   * Asks the peer of a plan's first step for several blocks in one request.
   *
   * @returns what became of those of which `onDone` was not told; nothing is written any more
   */
  gather(
    step: RouteStep & { kind: 'peer' },
    blocks: readonly GatheredBlock[],
    options: GatherOptions,
  ): Promise<AttemptResult> {
    assert(this.#peers !== undefined, 'a step to a peer without a group');
    return this.#peers.gather(step, blocks, options);
  }

  async #try(request: AttemptRequest, plan: RoutePlan): Promise<AttemptResult> {
    const { step, key, signal } = request;
    if (step.kind === 'peer' && this.#peers !== undefined) {
      return await this.#peers.try({ ...request, step });
    }
    if (step.kind === 'stage' && this.#stage !== undefined) return await this.#stage.try(request);
    if (plan.isAstray) this.#parts.metrics.astray(request.range.length);
    const result = await this.#origin.try(request);
    if (result.ok || !isMissing(result.error)) return result;
    const stray = await this.#parts.strays?.find(key, signal);
    return stray === undefined
      ? result
      : { ...result, instead: [peerStep(stray, 'held', 'former')] };
  }

  #onSilent({ step, signMs }: FillAttempt): void {
    if (step.kind !== 'peer') return;
    const { logger, group } = this.#parts;
    const { node } = step;
    const isLong = this.#standing.silent(node, signMs);
    logger.warn({ node, sinceMs: this.#parts.clock.nowMs() - signMs }, 'a peer is silent');
    if (isLong) group?.reportFailure(node);
  }
}

/** Whether the origin knows nothing of a block. */
function isMissing(error: Error | undefined): boolean {
  return error instanceof BlockReadError && error.code === 'missing';
}
