import { stat } from 'node:fs/promises';
import type { VolumeSetting } from '../meta/setting.ts';
import { withDeadline } from '../runtime/deadline.ts';
import { type ObjectStore, StoreError } from '../store/object-store.ts';
import type { DaemonContext } from './daemon-context.ts';
import { readSmallObject, volumeMarkKey } from './volume-mark.ts';

const ANSWER_TIMEOUT_MS = 10_000;

/**
 * Finds out before mounting whether the bucket is that of the volume, by the object in which
 * JuiceFS keeps the volume's UUID. Blocks of another volume can have the same names and lengths, so
 * a wrong bucket would mean wrong bytes.
 *
 * A store that does not answer is no reason not to mount: cached data can be read without it.
 *
 * @throws StoreError `bad-config` when there is no such bucket or it is another volume's, `denied`
 */
export async function checkOrigin(
  store: ObjectStore,
  setting: VolumeSetting,
  context: Pick<DaemonContext, 'clock' | 'logger'>,
): Promise<void> {
  if (setting.storage === 'file') await checkFolder(setting.bucket.replace('%d', '0'));
  const key = volumeMarkKey(setting);
  const fields = { store: store.displayName, key };
  try {
    const wait = { what: `GET ${key}`, timeoutMs: ANSWER_TIMEOUT_MS };
    const found = await withDeadline(context.clock, wait, (signal) =>
      readSmallObject(store, key, signal),
    );
    // With encryption the text is encrypted, too.
    if (setting.encryptKeyPem !== undefined || found.toString('utf8').trim() === setting.uuid)
      return;
    const message = `it belongs to another volume: ${key} does not contain ${setting.uuid}`;
    throw new StoreError('bad-config', message);
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'bad-config' || error.code === 'denied')) {
      const message = `the bucket ${store.displayName} cannot be used: ${error.message}`;
      throw new StoreError(error.code, message, { cause: error });
    }
    context.logger.warn({ ...fields, error: String(error) }, 'the bucket could not be checked');
  }
}

/** The driver would only ever say that objects are missing: a bucket is made by the first write. */
async function checkFolder(bucket: string): Promise<void> {
  const folder = bucket.slice(0, bucket.lastIndexOf('/') + 1);
  try {
    await stat(folder);
  } catch (cause) {
    const message = `the bucket '${bucket}' cannot be used: ${(cause as Error).message}`;
    throw new StoreError('bad-config', message, { cause });
  }
}
