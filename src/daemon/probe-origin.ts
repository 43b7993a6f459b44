import { namingOf } from '../block/object-key.ts';
import type { VolumeSetting } from '../meta/setting.ts';
import { encodeBlock } from '../store/block-format.ts';
import { createBucket, createObjectStore } from '../store/create-store.ts';
import { type ObjectStore, StoreError } from '../store/object-store.ts';
import { shardBucket } from '../store/sharded-store.ts';
import type { StoreSpec } from '../store/store-spec.ts';
import { checkOrigin } from './check-origin.ts';
import type { OneShot } from './one-shot.ts';
import { readSmallObject } from './volume-mark.ts';
import { type DataEncryption, encryptionOf } from './volume.ts';

const PROBE_BYTES = 100;
const NAME_CHARACTERS = 10;
const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';

/**
 * Proves that objects can be stored, read and removed, in each bucket of a volume; makes the bucket
 * when there is none.
 *
 * @throws StoreError that names the bucket and what failed
 */
export async function probeOrigin(setting: VolumeSetting, context: OneShot): Promise<void> {
  const encryption = encryptionOf(setting, context.env['JFS_RSA_PASSPHRASE']);
  for (const spec of bucketsOf(setting)) {
    const store = await createObjectStore(spec, context, {}, context.signal);
    try {
      await probe({ store, spec, setting, encryption }, context);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const message = `the bucket ${store.displayName} cannot be used: ${error.message}`;
      throw new StoreError(error.code, message, { cause: error });
    } finally {
      await store.close();
    }
  }
}

/**
 * The same for a volume that is there: the bucket must also not be that of another one.
 *
 * @throws StoreError
 */
export async function checkBucket(setting: VolumeSetting, context: OneShot): Promise<void> {
  await probeOrigin(setting, context);
  const store = await createObjectStore(setting, context, {}, context.signal);
  try {
    await checkOrigin(store, setting, context);
  } finally {
    await store.close();
  }
}

function bucketsOf(setting: VolumeSetting): StoreSpec[] {
  const { shards, bucket } = setting;
  if (shards <= 1) return [setting];
  return Array.from({ length: shards }, (_, shard) => ({
    ...setting,
    ...{ shards: 1, bucket: shardBucket(bucket, shard) },
  }));
}

interface Probed {
  readonly store: ObjectStore;
  readonly spec: StoreSpec;
  readonly setting: VolumeSetting;
  readonly encryption: DataEncryption | undefined;
}

async function probe(
  { store, spec, setting, encryption }: Probed,
  context: OneShot,
): Promise<void> {
  const { random, signal } = context;
  const folder = `${setting.name}/testing/`;
  const letter = () => LETTERS[random.below(LETTERS.length)] ?? '';
  const key = `${folder}${Array.from({ length: NAME_CHARACTERS }, letter).join('')}`;
  const format = { naming: namingOf(setting), compression: 'none', encryption } as const;
  const object = await encodeBlock(format, random.bytes(PROBE_BYTES), random);
  try {
    await store.put(key, object, signal);
  } catch (error) {
    if (error instanceof StoreError && error.code === 'denied') throw error;
    await makeBucket(spec, error, context);
    await store.put(key, object, signal);
  }
  const found = await readSmallObject(store, key, signal);
  if (Buffer.compare(found, object) !== 0) {
    throw new StoreError('corrupt', `${key}: other bytes came back than were stored`);
  }
  await remove(store, key, context);
  // Some clients keep folders as objects, and a local disk keeps the empty folder.
  await remove(store, folder, context);
}

async function makeBucket(spec: StoreSpec, before: unknown, context: OneShot): Promise<void> {
  try {
    await createBucket(spec, context, context.signal);
  } catch (error) {
    const message = `${(before as Error).message}; making the bucket: ${(error as Error).message}`;
    throw new StoreError('bad-config', message, { cause: error });
  }
}

/** A store that lets nobody delete can be used, but one should know. */
async function remove(store: ObjectStore, key: string, context: OneShot): Promise<void> {
  try {
    await store.delete(key, context.signal);
  } catch (error) {
    context.logger.warn({ key, error: String(error) }, 'an object could not be deleted');
  }
}
