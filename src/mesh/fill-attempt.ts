import type { BlockKey } from '../block/block-key.ts';
import type { ByteRange } from '../block/byte-range.ts';
import { abortReason } from '../runtime/deadline.ts';
import type { RouteStep } from './route-plan.ts';

/** How an attempt to get bytes from one source ended. */
export type AttemptResult =
  | { readonly ok: true }
  | {
      readonly ok: false;
      /** Undefined when the source only did not have the block. */
      readonly error: Error | undefined;
      /** Sources to try next, because this one named them. */
      readonly instead: readonly RouteStep[];
    };

/** What an attempt is made of. */
export interface AttemptRequest {
  readonly step: RouteStep;
  readonly key: BlockKey;
  readonly range: ByteRange;
  /** As long as `range`; not written to once the attempt's promise has settled. */
  readonly into: Uint8Array;
  readonly signal: AbortSignal;
  /** Leading bytes of `into` that are final. */
  onProgress(readyBytes: number): void;
  /** The source is alive. */
  onSign(): void;
}

/** Tries one source. @throws the signal's reason when aborted, and nothing else */
export type TryStep = (request: AttemptRequest) => Promise<AttemptResult>;

/** One source at work, and when it last gave a sign. */
export class FillAttempt {
  readonly step: RouteStep;
  readonly startedMs: number;
  /** An aborted attempt ends with the reason as its error. Rejects because of a bug only. */
  readonly result: Promise<AttemptResult>;
  readonly #controller = new AbortController();
  readonly #nowMs: () => number;
  #signMs: number;
  #hasSigned = false;
  #readyBytes = 0;
  #ended = false;
  #delivered = false;

  /** Begins at once. @param onProgress - told of leading bytes of `into` that are final */
  constructor(
    options: Omit<AttemptRequest, 'onProgress' | 'onSign'> & { nowMs: () => number },
    tryStep: TryStep,
    onProgress: (readyBytes: number) => void,
  ) {
    const { nowMs, signal, ...request } = options;
    this.step = request.step;
    this.#nowMs = nowMs;
    this.startedMs = nowMs();
    this.#signMs = this.startedMs;
    this.result = this.#run(signal, () =>
      tryStep({
        ...request,
        signal: this.#controller.signal,
        onSign: () => this.#sign(),
        onProgress: (readyBytes) => {
          this.#sign();
          this.#readyBytes = readyBytes;
          onProgress(readyBytes);
        },
      }),
    );
  }

  /** When the source last gave a sign; its beginning when it never did. */
  get signMs(): number {
    return this.#signMs;
  }

  /** Whether it ever gave one. */
  get hasSigned(): boolean {
    return this.#hasSigned;
  }

  /** Leading bytes that are final. */
  get readyBytes(): number {
    return this.#readyBytes;
  }

  /** Whether the result is there. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether it ended well: everything is in its memory. */
  get delivered(): boolean {
    return this.#delivered;
  }

  /** Ends it; nothing is written once {@link result} has settled. */
  abort(reason: Error): void {
    this.#controller.abort(reason);
  }

  #sign(): void {
    this.#hasSigned = true;
    this.#signMs = this.#nowMs();
  }

  async #run(signal: AbortSignal, work: () => Promise<AttemptResult>): Promise<AttemptResult> {
    const onAbort = () => this.#controller.abort(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const result = await work();
      this.#delivered = result.ok;
      return result;
    } catch (error) {
      if (!this.#controller.signal.aborted) throw error;
      return { ok: false, error: abortReason(this.#controller.signal), instead: [] };
    } finally {
      this.#ended = true;
      signal.removeEventListener('abort', onAbort);
    }
  }
}
