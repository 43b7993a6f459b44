import type { BlockId, BlockKey } from '../../block/block-key.ts';
import type { ByteRange } from '../../block/byte-range.ts';
import type { Asked, HeldIn } from '../../peer/block-exchange.ts';
import { abortReason } from '../../runtime/deadline.ts';
import type { SharedMemory } from '../../runtime/system/shared-memory.ts';
import { errorFrom } from './error-words.ts';
import type { ServeMainMessage, ServeThreadMessage } from './serve-messages.ts';

type Answer = Exclude<ServeMainMessage, { type: 'stop' }>;

/** A question that the main thread answers, in one message or several. */
interface Call {
  /** What came before anybody waited for it; at most one, because the next piece is asked for. */
  answer: Answer | undefined;
  wake: () => void;
}

/** Questions of a serving thread to the main thread. */
export class MainCalls {
  readonly #post: (message: ServeThreadMessage) => void;
  readonly #memory: Pick<SharedMemory, 'bytes' | 'base'>;
  readonly #calls = new Map<number, Call>();
  #count = 0;

  constructor(
    post: (message: ServeThreadMessage) => void,
    memory: Pick<SharedMemory, 'bytes' | 'base'>,
  ) {
    this.#post = post;
    this.#memory = memory;
  }

  /** Takes a message of the main thread. */
  onMessage(message: Answer): void {
    const call = this.#calls.get(message.call);
    if (call === undefined) return;
    call.answer = message;
    call.wake();
  }

  /** Has the main thread bring bytes. @see BlockHandler.serve */
  async *serve(
    key: BlockKey,
    range: ByteRange,
    signal: AbortSignal,
    asked: Asked,
  ): AsyncGenerator<Uint8Array> {
    const call = this.#open();
    let isOver = false;
    try {
      this.#post({ type: 'serve', call, key, range, asked });
      for (;;) {
        const answer = await this.#answer(call, signal);
        isOver = answer.type === 'end' || answer.type === 'failed';
        if (answer.type === 'failed') throw errorFrom(answer.error);
        if (answer.type === 'end') return;
        yield this.#bytesOf(answer);
        this.#post({ type: 'next', call });
      }
    } finally {
      this.#calls.delete(call);
      if (!isOver) this.#post({ type: 'cancel', call });
    }
  }

  /** Asks the main thread what it holds. */
  async holds(ids: readonly BlockId[], signal: AbortSignal): Promise<HeldIn[]> {
    const call = this.#open();
    try {
      this.#post({ type: 'holds', call, ids });
      const answer = await this.#answer(call, signal);
      if (answer.type === 'tiers') return [...answer.tiers];
      throw answer.type === 'failed' ? errorFrom(answer.error) : new Error('no answer to holds');
    } finally {
      this.#calls.delete(call);
    }
  }

  #open(): number {
    this.#count += 1;
    this.#calls.set(this.#count, { answer: undefined, wake: () => undefined });
    return this.#count;
  }

  async #answer(number: number, signal: AbortSignal): Promise<Answer> {
    if (signal.aborted) throw abortReason(signal);
    const call = this.#calls.get(number) as Call;
    if (call.answer === undefined) await arrival(call, signal);
    const answer = call.answer as Answer;
    call.answer = undefined;
    return answer;
  }

  #bytesOf(answer: Answer): Uint8Array {
    if (answer.type === 'bytes') return answer.bytes;
    if (answer.type !== 'piece') throw new Error(`a ${answer.type} instead of bytes`);
    const from = answer.place - this.#memory.base;
    return this.#memory.bytes.subarray(from, from + answer.length);
  }
}

function arrival(call: Call, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortReason(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    call.wake = () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    };
  });
}
