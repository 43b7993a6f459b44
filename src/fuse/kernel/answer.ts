/** What a request is answered with. */
export interface Answer {
  /** The payload behind the reply's header, in order. */
  readonly parts: readonly Uint8Array[];
  /** Called once when the parts are no longer needed, whatever became of them. */
  readonly release?: (() => void) | undefined;
  /** Called when the kernel did not take the answer: undoes what it would have known by it. */
  readonly undo?: (() => void) | undefined;
}

/** Success without a payload. */
export const EMPTY_ANSWER: Answer = { parts: [] };

/** Takes replies to the kernel. */
export interface ReplyChannel {
  /**
   * Writes one whole message.
   *
   * @returns 0, or the positive errno with which the kernel refused it: ENOENT when nobody waits for
   * the reply any more, ENODEV when the mount is gone
   */
  send(parts: readonly Uint8Array[]): number;
}
