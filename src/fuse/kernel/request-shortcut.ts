/** In a worker thread: answers requests in another way than through the main thread. */
export interface RequestShortcut {
  /**
   * Takes a request over, or does nothing with it.
   *
   * @param frame - the request begins it; copied when it is taken over
   * @param words - the same as 32-bit words
   * @returns whether it was taken over: it is then answered, or comes to the main thread by
   *   {@link ShortcutDevice.takeBack}
   */
  take(frame: Uint8Array, words: Uint32Array, length: number): boolean;
}

/** What the module at {@link ShortcutPlan.url} exports. */
export interface ShortcutModule {
  /** @param worker - number of the worker thread, from 0 */
  openShortcut(data: unknown, worker: number): RequestShortcut;
}

/** How worker threads come to a shortcut. */
export interface ShortcutPlan {
  /** A {@link ShortcutModule}. */
  readonly url: string;
  /** Handed to its `openShortcut`; must be cloneable. */
  readonly data: unknown;
}

/** The device as a shortcut uses it. */
export interface ShortcutDevice {
  readonly fd: number;
  readonly workers: number;
  /** Lets the main thread answer a request that was taken over. */
  takeBack(frame: Uint8Array): void;
  /** Requests are held that will not be answered any more: the mount must end. */
  onDeath(error: Error): void;
}

/** The part of a shortcut that lives in the main thread. */
export interface ShortcutHost {
  /** Begins; called once, when the mount is there. */
  start(device: ShortcutDevice): ShortcutPlan;
  /**
   * Called when no worker thread is left. Nothing is written to the device once it has resolved.
   * Never rejects.
   */
  stop(): Promise<void>;
}
