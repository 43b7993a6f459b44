import { type BlockKey, blockIdOf } from '../block/block-key.ts';
import type { NodeId } from '../block/node-id.ts';
import {
  type PeerClient,
  PeerError,
  type PeerErrorCode,
  ReferralError,
} from '../peer/block-exchange.ts';
import type { Clock } from '../runtime/clock.ts';
import { abortReason, sleep } from '../runtime/deadline.ts';
import { LogThrottle } from '../runtime/log-throttle.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Random } from '../runtime/random.ts';
import type { AttemptRequest, AttemptResult } from './fill-attempt.ts';
import type { LoadMetrics } from './load-metrics.ts';
import type { OwnerStanding } from './owner-standing.ts';
import { peerStep, type RouteStep } from './route-plan.ts';

/** Referrals followed one after the other; the owner then has to serve. */
const REFERRALS_MAX = 3;
/** Of the nodes that a referral names so many are asked. */
const REFERRED_ASKED = 2;
/** A busy peer is asked once more after 20 … 60 ms: going to the origin at once would cost it bytes. */
const BUSY_PAUSE_MS = 20;
const BUSY_PAUSE_SPREAD_MS = 40;

/** Between two log lines about a member that cannot be talked to. */
const LINE_EVERY_MS = 5_000;
/** Codes with which a peer shows that it is alive and well. */
const ALIVE_CODES: ReadonlySet<PeerErrorCode> = new Set(['busy', 'failed', 'encryption']);

/** What asking peers needs. */
export interface PeerSourceParts {
  readonly client: PeerClient;
  readonly standing: OwnerStanding;
  readonly metrics: LoadMetrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** A member did not deliver; the membership decides what that means. */
  reportFailure(node: NodeId): void;
}

type PeerStep = RouteStep & { readonly kind: 'peer' };
type PeerRequest = AttemptRequest & { readonly step: PeerStep };

/** A whole block that is asked for together with others. */
export interface GatheredBlock {
  readonly key: BlockKey;
  /** Room for exactly the block. */
  readonly into: Uint8Array;
}

/** Who is told about the blocks of one request. */
export interface GatherOptions {
  /** The block is complete, or the peer said why not; nothing is written to its memory any more. */
  onDone(key: BlockKey, result: AttemptResult): void;
  readonly signal: AbortSignal;
}

/** Other members of the group as sources of blocks. */
export class PeerSource {
  readonly #parts: PeerSourceParts;
  readonly #throttle: LogThrottle;

  constructor(parts: PeerSourceParts) {
    this.#parts = parts;
    this.#throttle = new LogThrottle(parts.clock, LINE_EVERY_MS);
  }

  /** Asks one peer. @throws what is not a peer's failure; the signal's reason when aborted */
  async try(request: PeerRequest): Promise<AttemptResult> {
    const { standing, metrics, clock, random } = this.#parts;
    const { step, signal } = request;
    if (step.again) {
      const pauseMs = BUSY_PAUSE_MS + random.below(BUSY_PAUSE_SPREAD_MS);
      await sleep(clock, pauseMs, signal);
    }
    const leave = standing.enter(step.node);
    let readyBytes = 0;
    const onProgress = (bytes: number) => {
      standing.heard(step.node);
      readyBytes = bytes;
      request.onProgress(bytes);
    };
    try {
      await this.#fill(request, onProgress);
      standing.heard(step.node);
      metrics.source(step.role, 'ok', request.range.length);
      return { ok: true };
    } catch (error) {
      const outcome = signal.aborted ? 'aborted' : outcomeOf(error);
      metrics.source(step.role, outcome, readyBytes);
      if (signal.aborted || !(error instanceof PeerError)) throw error;
      return this.#judge(step, request.key, error);
    } finally {
      leave();
    }
  }

  /**
   * Asks one peer for several whole blocks in one request.
   *
   * @returns what became of those of which `onDone` was not told; nothing is written any more
   * @throws what is not a peer's failure
   */
  async gather(
    step: PeerStep,
    blocks: readonly GatheredBlock[],
    options: GatherOptions,
  ): Promise<AttemptResult> {
    const { client, standing, metrics } = this.#parts;
    const { node, mode, role } = step;
    const { signal } = options;
    const onWorking = () => standing.heard(node);
    const wanted = blocks.map(({ key, into }) => ({
      key,
      into,
      onDone: (error: PeerError | undefined) => {
        standing.heard(node);
        metrics.source(
          role,
          error === undefined ? 'ok' : outcomeOf(error),
          error ? 0 : key.sizeBytes,
        );
        options.onDone(key, error === undefined ? { ok: true } : this.#judge(step, key, error));
      },
    }));
    const leave = standing.enter(node);
    try {
      await client.getMany(node, wanted, { mode, signal, onWorking });
      return { ok: true };
    } catch (error) {
      if (signal.aborted) return { ok: false, error: abortReason(signal), instead: [] };
      if (!(error instanceof PeerError)) throw error;
      metrics.source(role, outcomeOf(error), 0);
      return this.#judge(step, undefined, error);
    } finally {
      leave();
    }
  }

  #fill(request: PeerRequest, onProgress: (readyBytes: number) => void): Promise<void> {
    const { client, standing } = this.#parts;
    const { step, key, range, into, signal } = request;
    const onWorking = () => {
      standing.heard(step.node);
      request.onSign();
    };
    const options = { mode: step.mode, signal, onProgress, onWorking };
    return client.fill(step.node, key, range, into, options);
  }

  /** What follows from a peer's failure. */
  #judge(step: PeerStep, key: BlockKey | undefined, error: PeerError): AttemptResult {
    const { standing, metrics, logger } = this.#parts;
    const { node } = step;
    if (error.code === 'absent' || error instanceof ReferralError) {
      standing.heard(node);
      return { ok: false, error: undefined, instead: this.#referred(step, error) };
    }
    const block = key === undefined ? 'several' : blockIdOf(key);
    const fields = { node, block, code: error.code, error: error.message };
    if (error.code === 'busy' && !step.again) {
      return { ok: false, error: undefined, instead: [{ ...step, again: true }] };
    }
    if (error.code === 'busy') standing.busy(node);
    metrics.event('peer-failed');
    if (error.code === 'corrupt') {
      const avoidedMs = standing.corrupt(node);
      metrics.event('peer-corrupt');
      logger.error(
        { ...fields, avoidedMs },
        'a peer sent wrong bytes and is not asked for a while',
      );
    } else if (error.code === 'encryption') {
      const avoidedMs = standing.refused(node);
      metrics.event('peer-encryption');
      // All that were under way at once say the same.
      const leftOut = this.#throttle.admit(node);
      const line = 'a member cannot be asked for blocks';
      if (leftOut !== undefined) logger.error({ ...fields, avoidedMs, leftOut }, line);
    } else {
      logger.warn(fields, 'a peer did not deliver a block, going on without it');
    }
    if (!ALIVE_CODES.has(error.code)) this.#parts.reportFailure(node);
    return { ok: false, error: undefined, instead: [] };
  }

  /** Whom to ask instead: those that were named, then the same peer, which must not refer again. */
  #referred(step: PeerStep, error: PeerError): RouteStep[] {
    if (!(error instanceof ReferralError)) return [];
    const { standing } = this.#parts;
    const nodes = step.depth >= REFERRALS_MAX ? [] : error.holders;
    const others = nodes.filter((node) => node !== step.node && standing.usable(node));
    const instead = others
      .slice(0, REFERRED_ASKED)
      .map((node) => peerStep(node, 'held', 'referred', step.depth + 1));
    return step.mode === 'any' ? [...instead, { ...step, mode: 'final' }] : instead;
  }
}

function outcomeOf(error: unknown): 'absent' | 'busy' | 'referred' | 'failed' {
  if (!(error instanceof PeerError)) return 'failed';
  if (error.code === 'elsewhere') return 'referred';
  return error.code === 'absent' || error.code === 'busy' ? error.code : 'failed';
}
