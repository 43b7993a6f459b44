import type { BlockKey } from '../../block/block-key.ts';
import { Semaphore } from '../../runtime/semaphore.ts';

/** Blocks that one question asks about. */
const QUESTION_BLOCKS = 1_000;
/** Questions at once. */
const AT_ONCE = 4;
/** Never reached: callers wait for their turn before they gather more. */
const QUEUE_MAX = 1_000;

interface Asked<Answer> {
  readonly key: BlockKey;
  readonly onAnswer: (answer: Answer) => void;
}

/** Gathers blocks into large questions to the group and hands the answers back one by one. */
export class BlockQuestions<Answer> {
  readonly #ask: (keys: readonly BlockKey[]) => Promise<readonly Answer[]>;
  readonly #places = new Semaphore(AT_ONCE, QUEUE_MAX);
  readonly #running = new Set<Promise<void>>();
  #gathered: Asked<Answer>[] = [];
  #error: Error | undefined;

  /** @param ask - answers in the order asked; what it throws comes out of `add` and `finish` */
  constructor(ask: (keys: readonly BlockKey[]) => Promise<readonly Answer[]>) {
    this.#ask = ask;
  }

  /** Takes a block; waits while enough questions are under way. */
  async add(key: BlockKey, onAnswer: (answer: Answer) => void, signal: AbortSignal): Promise<void> {
    this.#gathered.push({ key, onAnswer });
    if (this.#gathered.length >= QUESTION_BLOCKS) await this.#flush(signal);
    if (this.#error !== undefined) throw this.#error;
  }

  /** Asks about the rest and resolves when everything was answered. */
  async finish(signal: AbortSignal): Promise<void> {
    await this.#flush(signal);
    await Promise.all(this.#running);
    if (this.#error !== undefined) throw this.#error;
  }

  async #flush(signal: AbortSignal): Promise<void> {
    const asked = this.#gathered;
    if (asked.length === 0) return;
    this.#gathered = [];
    const leave = await this.#places.acquire(signal);
    const running = this.#question(asked).finally(() => {
      leave();
      this.#running.delete(running);
    });
    this.#running.add(running);
  }

  async #question(asked: readonly Asked<Answer>[]): Promise<void> {
    try {
      const answers = await this.#ask(asked.map(({ key }) => key));
      asked.forEach(({ onAnswer }, at) => onAnswer(answers[at] as Answer));
    } catch (error) {
      this.#error ??= error instanceof Error ? error : new Error(String(error));
    }
  }
}
