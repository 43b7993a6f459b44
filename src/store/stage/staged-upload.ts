import { type BlockKey, blockIdOf } from '../../block/block-key.ts';
import type { BlockStorage } from '../block-upload.ts';
import type { BlockStage } from './block-stage.ts';

/** Stores new blocks on a cache disk, from where they are uploaded; those that it does not take, directly. */
export class StagedUpload implements BlockStorage {
  readonly #stage: BlockStage;
  readonly #storage: BlockStorage;

  /** @param storage - the object store */
  constructor(stage: BlockStage, storage: BlockStorage) {
    this.#stage = stage;
    this.#storage = storage;
  }

  async put(key: BlockKey, plain: Uint8Array, signal: AbortSignal): Promise<void> {
    if (await this.#stage.stage(key, plain, signal)) return;
    await this.#storage.put(key, plain, signal);
  }

  async remove(key: BlockKey, signal: AbortSignal): Promise<void> {
    await this.#stage.remove(blockIdOf(key));
    await this.#storage.remove(key, signal);
  }
}
