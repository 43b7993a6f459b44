import { namingOf } from '../block/object-key.ts';
import type { VolumeSetting } from '../meta/setting.ts';
import { createObjectStore } from '../store/create-store.ts';
import { decryptObject } from '../store/decrypt-object.ts';
import { type ObjectInfo, type ObjectStore, StoreError } from '../store/object-store.ts';
import { shardBucket } from '../store/sharded-store.ts';
import { removeEmptyFolders } from './empty-folders.ts';
import { Lanes } from './lanes.ts';
import type { OneShot } from './one-shot.ts';
import { encryptionOf } from './volume.ts';
import { readSmallObject, volumeMarkKey } from './volume-mark.ts';
import { isVolumeObject } from './volume-objects.ts';

/** What became of a volume's objects. */
export interface DestructionState {
  deleted: number;
  bytes: number;
  /** Are there still. */
  failed: number;
  /** In the volume's folder, but not its own: they stay. */
  foreign: number;
  /** Some of them. */
  readonly foreignKeys: string[];
}

const KEYS_SHOWN = 10;

/**
 * Deletes the objects of a volume that nobody uses. The one that marks the bucket goes last: until then the bucket is
 * known to be the volume's.
 */
export class VolumeDestruction {
  readonly #store: ObjectStore;
  readonly #setting: VolumeSetting;
  readonly #context: OneShot;
  readonly state: DestructionState = {
    ...{ deleted: 0, bytes: 0, failed: 0, foreign: 0 },
    foreignKeys: [],
  };

  constructor(store: ObjectStore, setting: VolumeSetting, context: OneShot) {
    this.#store = store;
    this.#setting = setting;
    this.#context = context;
  }

  /**
   * Opens the object store of a volume.
   *
   * @throws StoreError
   */
  static async open(setting: VolumeSetting, context: OneShot): Promise<VolumeDestruction> {
    const store = await createObjectStore(setting, context, {}, context.signal);
    context.shutdown.push('object store', () => store.close());
    return new VolumeDestruction(store, setting, context);
  }

  /** For people: where the objects are. */
  get displayName(): string {
    return this.#store.displayName;
  }

  /**
   * Makes sure that the bucket is the volume's. Nothing need be there any more.
   *
   * @param options - `mayBeUnmarked`: objects without a mark that says whose they are, are the volume's
   * @throws StoreError `bad-config` when it is another volume's, or nothing says whose it is
   */
  async check({ mayBeUnmarked = false } = {}): Promise<void> {
    const key = volumeMarkKey(this.#setting);
    const marked = await this.#mark(key);
    const { displayName } = this.#store;
    if (marked === this.#setting.uuid || (marked === undefined && mayBeUnmarked)) return;
    if (marked !== undefined) {
      const message = `the bucket ${displayName} is another volume's: ${key} does not contain ${this.#setting.uuid}`;
      throw new StoreError('bad-config', message);
    }
    const { signal } = this.#context;
    for await (const object of this.#store.list(`${this.#setting.name}/chunks/`, signal)) {
      if (!this.#isOwn(object)) continue;
      const message = `the bucket ${displayName} has no ${key}, which would tell that it is this volume's`;
      throw new StoreError('bad-config', message);
    }
  }

  /**
   * @param lanes - deletions at once
   * @param onChange - told after each object
   * @throws StoreError when the objects cannot be listed
   */
  async run(lanes: number, onChange: (state: DestructionState) => void): Promise<void> {
    const { signal } = this.#context;
    const { name, storage } = this.#setting;
    const mark = volumeMarkKey(this.#setting);
    let marked: ObjectInfo | undefined;
    await new Lanes(lanes, signal).spread(this.#store.list(`${name}/`, signal), async (object) => {
      if (object.key === mark) marked = object;
      else if (this.#isOwn(object)) await this.#delete(object);
      else this.#leave(object);
      onChange(this.state);
    });
    if (this.state.failed > 0) return;
    if (marked !== undefined) await this.#delete(marked);
    if (storage === 'file') await this.#removeFolders();
  }

  async #delete(object: ObjectInfo): Promise<void> {
    const { signal, logger } = this.#context;
    try {
      await this.#store.delete(object.key, signal);
      this.state.deleted += 1;
      this.state.bytes += object.sizeBytes;
    } catch (error) {
      if (signal.aborted) throw error;
      this.state.failed += 1;
      logger.warn({ key: object.key, error: String(error) }, 'an object could not be deleted');
    }
  }

  #leave({ key }: ObjectInfo): void {
    this.state.foreign += 1;
    if (this.state.foreignKeys.length < KEYS_SHOWN) this.state.foreignKeys.push(key);
  }

  #isOwn({ key }: ObjectInfo): boolean {
    return isVolumeObject(namingOf(this.#setting), key);
  }

  async #mark(key: string): Promise<string | undefined> {
    try {
      const bytes = await readSmallObject(this.#store, key, this.#context.signal);
      return (await this.#decrypted(bytes)).trim();
    } catch (error) {
      if (error instanceof StoreError && error.code === 'not-found') return undefined;
      throw error;
    }
  }

  async #decrypted(bytes: Buffer): Promise<string> {
    const encryption = encryptionOf(this.#setting, this.#context.env['JFS_RSA_PASSPHRASE']);
    if (encryption === undefined) return bytes.toString('utf8');
    const { dataKey, algo } = encryption;
    try {
      const plain = await decryptObject(Uint8Array.from(bytes), dataKey, algo);
      return Buffer.from(plain).toString('utf8');
    } catch {
      // Somebody else's, under another key.
      return '';
    }
  }

  async #removeFolders(): Promise<void> {
    const { bucket, name, shards } = this.#setting;
    const buckets =
      shards > 1
        ? Array.from({ length: shards }, (_, shard) => shardBucket(bucket, shard))
        : [bucket];
    for (const each of buckets) await removeEmptyFolders(`${each}${name}`);
  }
}
