import { createMetaEngine } from '../meta/create-engine.ts';
import type { MetaEngine } from '../meta/engine.ts';
import type { VolumeSetting } from '../meta/setting.ts';
import type { WritableEngine } from '../meta/writable-engine.ts';
import { FsError } from '../posix/errno.ts';
import { type Ino, ROOT_INO } from '../posix/ino.ts';
import { namingOf } from '../block/object-key.ts';
import type { BlockFormat } from '../store/block-format.ts';
import { BlockOrigin } from '../store/block-origin.ts';
import { BlockUpload } from '../store/block-upload.ts';
import { createObjectStore } from '../store/create-store.ts';
import { loadDataKey } from '../store/data-key.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { resolveDirectory } from '../vfs/root-map.ts';
import { checkOrigin } from './check-origin.ts';
import type { DaemonContext } from './daemon-context.ts';
import type { OriginConfig } from './mount-config.ts';
import { UsageError } from './quantities.ts';
import type { ShutdownStack } from './shutdown-stack.ts';

/** A volume's metadata and the origin of its blocks, connected. */
export interface OpenVolume {
  readonly meta: WritableEngine;
  /** With `--storage` and `--bucket` applied. */
  readonly setting: VolumeSetting;
  readonly origin: BlockOrigin;
  /** The objects themselves. */
  readonly store: ObjectStore;
  readonly format: BlockFormat;
  /** Puts new blocks there. */
  readonly upload: BlockUpload;
}

/** @throws MetaError, StoreError: what is wrong with the volume, or how it cannot be reached */
export async function openVolume(
  metaUrl: string,
  config: OriginConfig,
  context: DaemonContext,
  shutdown: ShutdownStack,
): Promise<OpenVolume> {
  const signal = new AbortController().signal;
  const meta = createMetaEngine(metaUrl, context);
  shutdown.push('metadata', () => meta.stop());
  await meta.start();
  const stored = await meta.loadSetting(signal);
  const setting = {
    ...stored,
    storage: config.storage?.toLowerCase() ?? stored.storage,
    bucket: config.bucket ?? stored.bucket,
  };
  const { maxDownloads, maxUploads, getTimeoutMs, putTimeoutMs } = config;
  const timeouts = { getTimeoutMs, putTimeoutMs };
  const tuning = { downloadsMax: maxDownloads, uploadsMax: maxUploads, ...timeouts };
  const store = await createObjectStore(setting, context, tuning, signal);
  shutdown.push('object store', () => store.close());
  await checkOrigin(store, setting, context);
  context.logger.info({ store: store.displayName, meta: meta.displayUrl }, 'volume opened');
  const format: BlockFormat = {
    naming: namingOf(setting),
    compression: setting.compression,
    encryption: encryptionOf(setting, context.env['JFS_RSA_PASSPHRASE']),
  };
  const { ioRetries } = config;
  const origin = new BlockOrigin({ ...context, store, ioRetries, format });
  const upload = new BlockUpload({ ...context, store, ioRetries, format });
  return { meta, setting, origin, store, format, upload };
}

/** The inode of `--subdir`. @throws UsageError when there is no such directory */
export async function findSubdir(meta: MetaEngine, subdir: string | undefined): Promise<Ino> {
  if (subdir === undefined) return ROOT_INO;
  try {
    return await resolveDirectory(meta, subdir, new AbortController().signal);
  } catch (error) {
    if (!(error instanceof FsError)) throw error;
    throw new UsageError(`--subdir: "${subdir}" in the volume: ${error.message}`);
  }
}

/** How the objects of a volume are encrypted. */
export type DataEncryption = NonNullable<BlockFormat['encryption']>;

/** @returns undefined when they are not. @throws StoreError `bad-config`: the key, or its passphrase */
export function encryptionOf(
  setting: VolumeSetting,
  passphrase: string | undefined,
): DataEncryption | undefined {
  if (setting.encryptKeyPem === undefined) return undefined;
  const dataKey = loadDataKey(setting.encryptKeyPem, passphrase);
  return { dataKey, algo: setting.encryptAlgo };
}
