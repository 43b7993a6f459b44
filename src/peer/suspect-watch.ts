import type { NodeId } from '../block/node-id.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';

const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 5000;
/** A member that fails again so soon after it came back is asked less often. */
const RELAPSE_MS = 60_000;
/** A suspected member that discovery does not know is forgotten after this. */
const FORGET_MS = 60_000;

interface Case {
  delayMs: number;
  sinceMs: number;
  timer: Timer | undefined;
  clearedMs: number | undefined;
}

/** Asks suspected members whether they are back: after 0.5 s, then less and less often. */
export class SuspectWatch {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #check: (node: NodeId) => Promise<boolean>;
  readonly #isListed: (node: NodeId) => boolean;
  readonly #forgetMember: (node: NodeId) => void;
  readonly #cases = new Map<NodeId, Case>();

  /**
   * @param options - `check` asks a member and never rejects; `isListed`: whether discovery still
   *   names it; `forget` is called for one that is neither listed nor answers for a minute
   */
  constructor(options: {
    clock: Clock;
    random: Random;
    check: (node: NodeId) => Promise<boolean>;
    isListed: (node: NodeId) => boolean;
    forget: (node: NodeId) => void;
  }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#check = options.check;
    this.#isListed = options.isListed;
    this.#forgetMember = options.forget;
  }

  /** A member is suspected from now on. */
  watch(node: NodeId): void {
    const nowMs = this.#clock.nowMs();
    const before = this.#cases.get(node);
    before?.timer?.cancel();
    const relapse = before?.clearedMs !== undefined && nowMs - before.clearedMs < RELAPSE_MS;
    const delayMs = relapse ? Math.min(before.delayMs * 2, LAST_DELAY_MS) : FIRST_DELAY_MS;
    const next: Case = { delayMs, sinceMs: nowMs, timer: undefined, clearedMs: undefined };
    this.#cases.set(node, next);
    this.#arm(node, next);
  }

  /** A member has answered or said hello. */
  clear(node: NodeId): void {
    const known = this.#cases.get(node);
    if (known === undefined || known.clearedMs !== undefined) return;
    known.timer?.cancel();
    known.clearedMs = this.#clock.nowMs();
  }

  /** A member has left. */
  forget(node: NodeId): void {
    this.#cases.get(node)?.timer?.cancel();
    this.#cases.delete(node);
  }

  /** Asks nobody any more. */
  stop(): void {
    for (const node of this.#cases.keys()) this.forget(node);
  }

  #arm(node: NodeId, open: Case): void {
    // Up to a quarter later, so that a group does not ask a returning member all at once.
    const delayMs = open.delayMs * (1 + this.#random.below(250) / 1000);
    open.timer = this.#clock.setTimer(delayMs, () => {
      this.#ask(node, open).catch((error: unknown) => {
        // `check` never rejects: this is a bug, and must not pass in silence.
        queueMicrotask(() => {
          throw error;
        });
      });
    });
  }

  async #ask(node: NodeId, open: Case): Promise<void> {
    if (await this.#check(node)) return;
    if (this.#cases.get(node) !== open || open.clearedMs !== undefined) return;
    if (this.#clock.nowMs() - open.sinceMs > FORGET_MS && !this.#isListed(node)) {
      this.#forgetMember(node);
      return;
    }
    open.delayMs = Math.min(open.delayMs * 2, LAST_DELAY_MS);
    this.#arm(node, open);
  }
}
