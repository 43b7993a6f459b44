/** Something with a life: started once, stopped once. */
export interface Startable {
  /** Resolves when it works. @throws when it cannot; nothing is then left running */
  start(signal?: AbortSignal): Promise<void>;
  /** Resolves when nothing of it runs any more, within a bounded time. Never rejects. */
  stop(): Promise<void>;
}
