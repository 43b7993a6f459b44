import type { Logger } from '../runtime/logger.ts';

/** Stops what was started, last first. A step that fails does not keep the others from stopping. */
export class ShutdownStack {
  readonly #logger: Logger;
  readonly #steps: { name: string; stop: () => Promise<void> | void }[] = [];

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Remembers how to undo what was just done. */
  push(name: string, stop: () => Promise<void> | void): void {
    this.#steps.push({ name, stop });
  }

  /** Undoes everything, each step once. Never rejects. */
  async unwind(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.stop();
      } catch (error) {
        this.#logger.warn({ step: step.name, error: String(error) }, 'could not stop cleanly');
      }
    }
  }
}
