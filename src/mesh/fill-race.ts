import type { BlockKey } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import type { Clock } from '../runtime/clock.ts';
import { abortReason, settlesWithin } from '../runtime/deadline.ts';
import { type AttemptResult, FillAttempt, type TryStep } from './fill-attempt.ts';
import type { RouteStep } from './route-plan.ts';

/** Steps of one route at most, those that peers name included; the origin is always among them. */
const STEPS_MAX = 12;
/** A late timer must not blame the source for our own busy thread: bytes may wait in the socket. */
const GRACE_MS = 15;
/** Of the time for a first source: somebody waits already, and two that are silent hint at a cut network. */
const RIVAL_PATIENCE = 0.5;

/** What a race needs of the route. */
export interface RaceRules {
  readonly clock: Clock;
  readonly tryStep: TryStep;
  /** How long a source may give no sign at all before another one that may hold the block is asked. */
  slowMs(step: RouteStep): number;
  /** How long a source may be silent before the next one is asked beside it, whatever that costs. */
  silentMs(step: RouteStep): number;
  /** Whether one more source may be asked beside another one now. */
  mayHedge(): boolean;
  /** A source was silent for too long: another one was faster, or the next one is asked in its place. */
  onSilent(lost: FillAttempt): void;
  /** `bytes`: that a rival brought, for nothing unless it won. */
  onHedge(outcome: HedgeOutcome, bytes: number): void;
}

/** How a rival fared. `denied`: too many were sent lately. */
export type HedgeOutcome = 'won' | 'lost' | 'failed' | 'denied';

/** Where a block's bytes come from. */
export type FilledFrom = 'disk' | 'peer' | 'origin';

/** What is to be filled. */
export interface RaceTarget {
  readonly key: BlockKey;
  readonly range: ByteRange;
  readonly into: Uint8Array;
  readonly signal: AbortSignal;
  onSource(from: FilledFrom): void;
  /** Leading bytes of `into` that are final; they are never written again. */
  onProgress(readyBytes: number): void;
}

/**
 * Fills memory from the first source that delivers. One source at a time writes into it; each that
 * follows goes on where the last one stopped.
 *
 * A source that gives no sign for a while gets a rival, which writes into memory of its own. When
 * the rival has everything first, the source is stopped, and only when it has said that it writes
 * no more are the rival's bytes copied. So nothing is ever written by two, or after the end.
 */
export class FillRace {
  readonly #rules: RaceRules;
  readonly #target: RaceTarget;
  readonly #steps: RouteStep[];
  readonly #running = new Set<FillAttempt>();
  #stepsLeft = STEPS_MAX;
  #readyBytes = 0;
  #error: Error | undefined;

  constructor(rules: RaceRules, target: RaceTarget, steps: readonly RouteStep[]) {
    this.#rules = rules;
    this.#target = target;
    this.#steps = [...steps];
  }

  /** @throws the last source's error when none delivered; the signal's reason when aborted */
  async run(): Promise<void> {
    try {
      for (;;) {
        const step = this.#nextStep();
        if (step === undefined) throw this.#error ?? new Error('a route without sources');
        if (await this.#lead(step)) return;
      }
    } catch (error) {
      // Before the memory is given back, whoever writes into it has to have stopped.
      const reason = error instanceof Error ? error : new Error(String(error));
      for (const attempt of this.#running) attempt.abort(reason);
      await Promise.allSettled([...this.#running].map(({ result }) => result));
      throw error;
    }
  }

  #nextStep(): RouteStep | undefined {
    if (this.#stepsLeft === 0) return undefined;
    this.#stepsLeft -= 1;
    if (this.#stepsLeft > 0) return this.#steps.shift();
    return this.#steps.find(({ kind }) => kind === 'origin');
  }

  /** @returns whether everything is there now */
  async #lead(step: RouteStep): Promise<boolean> {
    const { range, into } = this.#target;
    const from = this.#readyBytes;
    this.#target.onSource(sourceOf(step));
    const lead = this.#begin(
      step,
      { offset: range.offset + from, length: range.length - from },
      { into: into.subarray(from), onProgress: (readyBytes) => this.#progress(from + readyBytes) },
    );
    const replica = this.#replica();
    const slow = { ms: this.#rules.slowMs(step), fromStart: true };
    if (replica !== undefined && (await this.#quiet(lead, slow))) {
      if (this.#mayHedge() && (await this.#hedge(lead, replica))) return true;
    }
    while (await this.#quiet(lead, { ms: this.#rules.silentMs(step) })) {
      const next = this.#steps.length > 0 && this.#mayHedge() ? this.#nextStep() : undefined;
      if (next === undefined) break;
      if (await this.#hedge(lead, next)) return true;
    }
    return this.#take(await lead.result);
  }

  /** Another node that keeps the block, asked only for what it holds: that costs the origin nothing. */
  #replica(): RouteStep | undefined {
    const [next] = this.#steps;
    if (next?.kind !== 'peer' || next.role === 'next') return undefined;
    return { ...next, mode: 'held' };
  }

  #mayHedge(): boolean {
    const may = this.#rules.mayHedge();
    if (!may) this.#rules.onHedge('denied', 0);
    return may;
  }

  /**
   * Waits until an attempt gave no sign for `ms`.
   *
   * @param how.fromStart - it is enough that it gave one sign ever
   * @param how.unless - the wait ends when this one has delivered
   * @returns false when it did, or has ended
   */
  async #quiet(
    attempt: FillAttempt,
    { ms, fromStart, unless }: { ms: number; fromStart?: boolean; unless?: FillAttempt },
  ): Promise<boolean> {
    const over = unless === undefined ? attempt.result : firstOf(unless, attempt);
    let isGraced = false;
    for (;;) {
      if (attempt.ended || unless?.delivered === true) return false;
      if (fromStart === true && attempt.hasSigned) return false;
      const leftMs = attempt.signMs + ms - this.#rules.clock.nowMs();
      if (leftMs > 0) isGraced = false;
      else if (isGraced) return true;
      else isGraced = true;
      await settlesWithin(over, this.#rules.clock, Math.max(leftMs, GRACE_MS));
    }
  }

  /**
   * Asks another source beside `lead`.
   *
   * @returns whether everything is there now; else `lead` may still deliver
   */
  async #hedge(lead: FillAttempt, step: RouteStep): Promise<boolean> {
    const { range, into, signal } = this.#target;
    const from = this.#readyBytes;
    const left = { offset: range.offset + from, length: range.length - from };
    const scratch = Buffer.allocUnsafe(left.length);
    const rival = this.#begin(step, left, { into: scratch, onProgress: () => undefined });
    const patienceMs = RIVAL_PATIENCE * this.#rules.silentMs(step);
    const mute = await this.#quiet(rival, { ms: patienceMs, unless: lead });
    if (mute && this.#mayGiveUp(lead, rival)) return this.#giveUp(lead, rival);
    await firstOf(lead, rival);
    if (lead.delivered) {
      rival.abort(new Error('the first source delivered'));
      this.#rules.onHedge('lost', rival.readyBytes);
      return this.#take(await lead.result);
    }
    const result = await rival.result;
    if (signal.aborted) throw abortReason(signal);
    if (!result.ok) {
      this.#rules.onHedge('failed', rival.readyBytes);
      this.#note(result);
      return false;
    }
    const isLate = !lead.ended;
    lead.abort(new Error('another source was faster'));
    await lead.result;
    if (isLate) this.#rules.onSilent(lead);
    this.#rules.onHedge('won', left.length);
    if (this.#readyBytes === range.length) return true;
    this.#target.onSource(sourceOf(step));
    into.set(scratch.subarray(this.#readyBytes - from), this.#readyBytes);
    this.#progress(range.length);
    return true;
  }

  /** Whether a rival that is silent, too, need not be waited for: somebody else can be asked. */
  #mayGiveUp(lead: FillAttempt, { step }: FillAttempt): boolean {
    const isAnother = (other: RouteStep) =>
      other.kind !== 'peer' || step.kind !== 'peer' || other.node !== step.node;
    this.#steps.splice(0, this.#steps.length, ...this.#steps.filter(isAnother));
    if (this.#steps.length === 0 || this.#stepsLeft === 0) return false;
    return lead.ended || this.#mayHedge();
  }

  /** The next source takes the place of a silent rival: in a partition all peers that are asked may be cut off. */
  async #giveUp(lead: FillAttempt, rival: FillAttempt): Promise<boolean> {
    rival.abort(new Error('it was silent, too'));
    await rival.result;
    this.#rules.onSilent(rival);
    this.#rules.onHedge('failed', rival.readyBytes);
    const next = lead.ended ? undefined : this.#nextStep();
    return next !== undefined && this.#hedge(lead, next);
  }

  #begin(
    step: RouteStep,
    range: ByteRange,
    to: { into: Uint8Array; onProgress: (readyBytes: number) => void },
  ): FillAttempt {
    const { key, signal } = this.#target;
    const { clock, tryStep } = this.#rules;
    const options = { step, key, range, into: to.into, signal, nowMs: () => clock.nowMs() };
    const attempt = new FillAttempt(options, tryStep, to.onProgress);
    this.#running.add(attempt);
    const end = () => void this.#running.delete(attempt);
    attempt.result.then(end, end);
    return attempt;
  }

  #take(result: AttemptResult): boolean {
    const { signal, range } = this.#target;
    if (signal.aborted) throw abortReason(signal);
    if (result.ok) {
      this.#progress(range.length);
      return true;
    }
    this.#note(result);
    return false;
  }

  #note(result: AttemptResult & { ok: false }): void {
    if (result.error !== undefined) this.#error = result.error;
    this.#steps.unshift(...result.instead);
  }

  #progress(readyBytes: number): void {
    if (readyBytes <= this.#readyBytes) return;
    this.#readyBytes = readyBytes;
    this.#target.onProgress(readyBytes);
  }
}

function sourceOf({ kind }: RouteStep): FilledFrom {
  return kind === 'stage' ? 'disk' : kind;
}

/** Settles when `first` delivered, or `second` has ended. */
function firstOf(first: FillAttempt, second: FillAttempt): Promise<unknown> {
  const delivery = first.result.then(({ ok }) => (ok ? undefined : second.result));
  return Promise.race([delivery, second.result]);
}
