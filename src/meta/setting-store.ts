/** A setting that is to be stored, and what goes with it. */
export interface SettingChange {
  /** What must be stored now; undefined: there must be no volume yet, and this makes one. */
  readonly before: Uint8Array | undefined;
  readonly after: Uint8Array;
  /** The trash must have a directory from now on. */
  readonly needsTrash: boolean;
  /** Statistics of directories were not kept and will be: what is stored is out of date. */
  readonly dropDirStats: boolean;
  /** The same of the usage of users and groups. */
  readonly dropOwnerUsage: boolean;
}

/** Reads and writes the setting of a volume, also of one that is not there yet. */
export interface SettingStore {
  /** For messages: the URL without its password. */
  readonly displayUrl: string;
  /** The stored JSON; undefined when the database holds no volume. @throws MetaError */
  load(signal: AbortSignal): Promise<Uint8Array | undefined>;
  /**
   * Makes a change as one transaction.
   *
   * @throws MetaError `refused` when `before` is not what is stored: somebody else was faster
   */
  store(change: SettingChange, signal: AbortSignal): Promise<void>;
  /**
   * Takes the volume's whole metadata away. The setting goes last, so that what stopped in the middle
   * can be begun again.
   *
   * @param before - the setting as stored now
   * @throws MetaError `refused` when it is not
   */
  remove(before: Uint8Array, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
