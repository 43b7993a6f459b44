import type { VolumeSetting } from '../meta/setting.ts';
import { goJson } from '../vfs/internal/control-message.ts';
import type { MountConfig } from './mount-config.ts';
import { JUICEFS_VERSION, VERSION } from './version.ts';

const REMOVED = 'removed';
const SECRETS = ['SecretKey', 'SessionToken', 'EncryptKey'];
const NS_PER_MS = 1_000_000n;

/**
 * What `.config` shows: this mount's configuration under JuiceFS's names, without secrets. Times are
 * in nanoseconds.
 *
 * @param mount - `sid` of this mount's session; `pid` of this process, and of its parent
 */
export function configText(
  config: MountConfig,
  setting: VolumeSetting,
  mount: { sid: bigint; pid: number; ppid: number },
): string {
  const { reading, cache, origin, staging, mountpoint } = config;
  const subdir = reading.subdir ?? '';
  const value = {
    Meta: {
      Retries: origin.ioRetries,
      ReadOnly: !config.readWrite,
      OpenCache: nanoseconds(reading.openCacheMs),
      OpenCacheLimit: reading.openCacheLimit,
      Heartbeat: nanoseconds(config.heartbeatMs),
      MountPoint: mountpoint,
      Subdir: subdir,
      Sid: mount.sid,
    },
    Format: withoutSecrets(setting.raw),
    Chunk: {
      CacheDir: cache.dirs.length === 0 ? 'memory' : cache.dirs.join(':'),
      CacheMode: cache.fileMode,
      CacheSize: cache.diskBytes,
      CacheChecksum: cache.verify,
      CacheEviction: cache.eviction,
      FreeSpace: cache.freeSpaceRatio,
      Compress: setting.compression,
      MaxDownload: origin.maxDownloads,
      MaxUpload: origin.maxUploads,
      MaxRetries: origin.ioRetries,
      Writeback: staging.writeback,
      WritebackThresholdSize: staging.belowBytes ?? setting.blockBytes + 1,
      MaxStageWrite: staging.writesMax,
      UploadDelay: nanoseconds(staging.delayMs),
      UploadHours: staging.hours === undefined ? '' : `${staging.hours.start}-${staging.hours.end}`,
      HashPrefix: setting.hashPrefix,
      BlockSize: setting.blockBytes,
      GetTimeout: nanoseconds(origin.getTimeoutMs),
      PutTimeout: nanoseconds(origin.putTimeoutMs),
      BufferSize: cache.bufferBytes,
      Prefetch: cache.prefetchWorkers,
    },
    Version: `${JUICEFS_VERSION}+cachemesh.${VERSION}`,
    AttrTimeout: nanoseconds(reading.attrCacheMs),
    EntryTimeout: nanoseconds(reading.entryCacheMs),
    DirEntryTimeout: nanoseconds(reading.dirEntryCacheMs),
    NegEntryTimeout: nanoseconds(reading.negativeEntryCacheMs),
    ReaddirCache: reading.readdirCache,
    Subdir: subdir,
    HideInternal: reading.hideInternal,
    Pid: mount.pid,
    PPid: mount.ppid,
    Mountpoint: mountpoint,
  };
  return `${goJson(value, 1)}\n`;
}

function nanoseconds(ms: number): bigint {
  return BigInt(Math.round(ms)) * NS_PER_MS;
}

/** A setting as it may be shown. */
export function withoutSecrets(raw: VolumeSetting['raw']): Record<string, unknown> {
  const shown: Record<string, unknown> = { ...raw };
  for (const name of SECRETS) {
    if (shown[name] !== undefined && shown[name] !== '') shown[name] = REMOVED;
  }
  return shown;
}
