/** Takes down what was put up, last first, whatever happens in between. */
export class Stage {
  readonly #steps: { readonly what: string; readonly undo: () => Promise<void> }[] = [];

  /** @param undo - runs at the end, and must end by itself in a bounded time */
  onEnd(what: string, undo: () => Promise<void>): void {
    this.#steps.push({ what, undo });
  }

  /** Runs all steps; one that fails is told and does not keep the others from running. */
  async end(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.undo();
      } catch (error) {
        console.error(`bench: cannot take down ${step.what}: ${String(error)}`);
      }
    }
  }
}

/** Runs `work` with a stage of its own and takes it down. */
export async function onStage<T>(work: (stage: Stage) => Promise<T>): Promise<T> {
  const stage = new Stage();
  try {
    return await work(stage);
  } finally {
    await stage.end();
  }
}
