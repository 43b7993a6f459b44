import type { BlockHandler } from '../../peer/block-exchange.ts';
import type { Clock } from '../../runtime/clock.ts';
import { withDeadline } from '../../runtime/deadline.ts';
import type { SharedMemory } from '../../runtime/system/shared-memory.ts';
import { wordsOf } from './error-words.ts';
import type { ServeMainMessage, ServeThreadMessage } from './serve-messages.ts';

/** A piece that the thread does not give back in this time is taken back; its sending stalls sooner. */
const PIECE_TIMEOUT_MS = 60_000;

type Question = Extract<ServeThreadMessage, { type: 'serve' | 'holds' }>;

/** A question that is being answered. */
interface Running {
  readonly controller: AbortController;
  onNext: () => void;
}

/** The main thread's side of one serving thread's questions. */
export class CallAnswerer {
  readonly #handler: BlockHandler;
  readonly #memory: Pick<SharedMemory, 'bytes' | 'base'>;
  readonly #clock: Clock;
  readonly #post: (message: ServeMainMessage) => void;
  readonly #running = new Map<number, Running>();

  constructor(parts: {
    handler: BlockHandler;
    memory: Pick<SharedMemory, 'bytes' | 'base'>;
    clock: Clock;
    post: (message: ServeMainMessage) => void;
  }) {
    this.#handler = parts.handler;
    this.#memory = parts.memory;
    this.#clock = parts.clock;
    this.#post = parts.post;
  }

  /** Answers in the background; failures are part of the answer. */
  answer(question: Question): void {
    const running = { controller: new AbortController(), onNext: () => undefined };
    this.#running.set(question.call, running);
    const work = question.type === 'serve' ? this.#serve(question, running) : this.#holds(question);
    void work
      .catch((error: unknown) => {
        if (running.controller.signal.aborted) return;
        this.#post({ type: 'failed', call: question.call, error: wordsOf(error) });
      })
      .finally(() => this.#running.delete(question.call));
  }

  /** The thread has used the last piece. */
  next(call: number): void {
    this.#running.get(call)?.onNext();
  }

  cancel(call: number): void {
    const reason = new Error('the peer does not wait any more');
    this.#running.get(call)?.controller.abort(reason);
  }

  /** The thread is gone. */
  cancelAll(): void {
    for (const call of this.#running.keys()) this.cancel(call);
  }

  async #serve(question: Question & { type: 'serve' }, running: Running): Promise<void> {
    const { call, key, range, asked } = question;
    const { signal } = running.controller;
    for await (const bytes of this.#handler.serve(key, range, signal, asked)) {
      if (signal.aborted) return;
      const next = new Promise<void>((resolve) => {
        running.onNext = resolve;
      });
      this.#hand(call, bytes);
      const wait = { what: 'a serving thread', timeoutMs: PIECE_TIMEOUT_MS, signal };
      await withDeadline(this.#clock, wait, () => next);
    }
    this.#post({ type: 'end', call });
  }

  async #holds({ call, ids }: Question & { type: 'holds' }): Promise<void> {
    const { signal } = (this.#running.get(call) as Running).controller;
    this.#post({ type: 'tiers', call, tiers: await this.#handler.holds(ids, signal) });
  }

  #hand(call: number, bytes: Uint8Array): void {
    const { bytes: arena, base } = this.#memory;
    const isShared = bytes.buffer === arena.buffer && bytes.byteLength > 0;
    if (isShared) {
      const place = base + (bytes.byteOffset - arena.byteOffset);
      this.#post({ type: 'piece', call, place, length: bytes.byteLength });
    } else this.#post({ type: 'bytes', call, bytes: bytes.slice() });
  }
}
