import type { ByteRange } from '../block/byte-range.ts';
import type { Clock } from '../runtime/clock.ts';
import { settlesWithin } from '../runtime/deadline.ts';
import { HedgeBudget } from '../runtime/hedge-budget.ts';
import { lateAfterMs, type LateRule } from '../runtime/late-rule.ts';
import { LatencyEstimate } from '../runtime/latency-estimate.ts';
import { type LinkedAbort, linkAbort } from '../runtime/linked-abort.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { discardChunks, watchBody } from './chunk-stream.ts';
import type { ObjectBody, ObjectStore } from './object-store.ts';

/** A GET is late after three times the p95 of those that were answered, within 1 … 10 s. */
const LATE: LateRule = { factor: 3, leastMs: 1_000, mostMs: 10_000 };
/** Requests for one GET at once. */
const REQUESTS_MAX = 4;

/** How {@link withHedge} works. */
export interface HedgeOptions {
  /** A GET that is given up before it could be late is not made a second time. */
  readonly getTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** How a further request fared. `denied`: too many were made lately. */
type Outcome = 'won' | 'lost' | 'failed' | 'denied';

/**
 * Makes a GET once more when its headers are much later than the store's answers use to be: a
 * request that was lost on its way would else hold up its readers until its time-out. The first
 * answer is taken, the other requests are aborted.
 *
 * Further requests are 5 % of all at most, and a burst of 16. One that was answered in time, before
 * those that came earlier, is given back: then the store is well, and the others did not get there.
 */
export function withHedge(store: ObjectStore, options: HedgeOptions): ObjectStore {
  const origin = { store, pace: new LatencyEstimate(), budget: new HedgeBudget(), ...options };
  return {
    displayName: store.displayName,
    get: (key, range, signal) => hedged(origin, { key, range, signal }),
    head: (key, signal) => store.head(key, signal),
    put: (key, body, signal) => store.put(key, body, signal),
    delete: (key, signal) => store.delete(key, signal),
    list: (prefix, signal) => store.list(prefix, signal),
    close: () => store.close(),
  };
}

interface Origin extends HedgeOptions {
  readonly store: ObjectStore;
  /** Time until the headers came, of requests that were answered. */
  readonly pace: LatencyEstimate;
  readonly budget: HedgeBudget;
}

interface Question {
  readonly key: string;
  readonly range: ByteRange | undefined;
  readonly signal: AbortSignal;
}

async function hedged(origin: Origin, question: Question): Promise<ObjectBody> {
  origin.budget.earn();
  const lateMs = lateAfterMs(origin.pace.quantileMs(0.95) ?? 0, LATE);
  const first = new Attempt(origin, question);
  const attempts = [first];
  if (lateMs < origin.getTimeoutMs) {
    // Neither answered by one of them nor failed by all.
    const areLate = async () =>
      !(await settlesWithin(firstAnswered(attempts), origin.clock, lateMs));
    while ((await areLate()) && mayAsk(origin, attempts)) {
      const fields = { object: question.key, lateMs, requests: attempts.length };
      origin.logger.warn(fields, 'the object store does not answer: asked again');
      attempts.push(new Attempt(origin, question));
    }
  }
  if (attempts.length === 1) return first.answer;
  const winner = await firstAnswered(attempts);
  settle(origin, { attempts, winner, lateMs });
  return (winner ?? first).answer;
}

function mayAsk(origin: Origin, attempts: readonly Attempt[]): boolean {
  if (attempts.length === REQUESTS_MAX) return false;
  const may = origin.budget.take();
  if (!may) count(origin, 'denied');
  return may;
}

/** Counts how the further requests fared and ends those that nobody needs. */
function settle(
  origin: Origin,
  end: { attempts: readonly Attempt[]; winner: Attempt | undefined; lateMs: number },
): void {
  const { attempts, winner, lateMs } = end;
  const [first] = attempts;
  for (const attempt of attempts) {
    if (attempt !== winner) attempt.leave();
    if (attempt === first) continue;
    if (winner === undefined) count(origin, 'failed');
    else count(origin, attempt === winner ? 'won' : 'lost');
  }
  if (winner !== first && winner !== undefined && winner.tookMs < lateMs) origin.budget.refund();
}

/** @returns undefined when all have failed */
function firstAnswered(attempts: readonly Attempt[]): Promise<Attempt | undefined> {
  const answers = attempts.map((attempt) => attempt.answer.then(() => attempt));
  return Promise.any(answers).catch(() => undefined);
}

/** One of the requests that are made for one GET. */
class Attempt {
  /** Ends with its own failure when it was {@link leave}d. */
  readonly answer: Promise<ObjectBody>;
  /** Until the answer came. */
  tookMs = Number.POSITIVE_INFINITY;
  readonly #abort: LinkedAbort;

  constructor(origin: Origin, { key, range, signal }: Question) {
    this.#abort = linkAbort(signal);
    this.answer = this.#ask(origin, (own) => origin.store.get(key, range, own));
    this.answer.catch(() => undefined);
  }

  /** Another one was faster: nothing more is read of this one. */
  leave(): void {
    this.#abort.abort(new Error('another request for the object was answered first'));
    // Both may have been answered at the same moment: then nobody else closes the body.
    this.answer.then(({ chunks }) => discardChunks(chunks)).catch(() => undefined);
  }

  async #ask(
    { clock, pace }: Origin,
    ask: (signal: AbortSignal) => Promise<ObjectBody>,
  ): Promise<ObjectBody> {
    const startMs = clock.nowMs();
    const onEnd = () => this.#abort.unlink();
    try {
      const body = await ask(this.#abort.signal);
      this.tookMs = clock.nowMs() - startMs;
      pace.observe(this.tookMs);
      return watchBody(body, { onEnd });
    } catch (error) {
      onEnd();
      throw error;
    }
  }
}

function count({ metrics }: Origin, outcome: Outcome): void {
  metrics
    .counter({
      name: 'object_request_hedges',
      help: 'GETs that were made once more because the object store was late.',
      labels: { outcome },
    })
    .add();
}
