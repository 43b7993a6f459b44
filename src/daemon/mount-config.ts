import { homedir, totalmem } from 'node:os';
import path from 'node:path';
import { CHECKSUM_MODES, type ChecksumMode } from '../store/checksum-mode.ts';
import { parseUploadHours, type UploadHours } from '../store/stage/upload-hours.ts';
import { EVICTION_NAMES, type EvictionName } from '../store/eviction/create-policy.ts';
import type { LogLevel } from './pino-logger.ts';
import { LOG_LEVELS } from './pino-logger.ts';
import {
  parseAddress,
  parseChoice,
  parseDuration,
  parseRatio,
  parseSize,
  parseWhole,
  UsageError,
} from './quantities.ts';

/** Everything `cachemesh mount` was told, checked. */
export interface MountConfig {
  readonly metaUrl: string;
  /** Absolute. */
  readonly mountpoint: string;
  readonly background: boolean;
  readonly log: string | undefined;
  readonly logLevel: LogLevel;
  readonly metricsAddress: { host: string; port: number } | undefined;
  readonly heartbeatMs: number;
  /** Programs may change the volume. */
  readonly readWrite: boolean;
  /** A directory that was touched less long ago is not touched for one name more or less. */
  readonly skipDirMtimeMs: number;
  readonly origin: OriginConfig;
  readonly cache: CacheConfig;
  readonly staging: StagingConfig;
  readonly group: GroupConfig;
  readonly fuse: FuseConfig;
  readonly reading: ReadingConfig;
}

/** Where objects come from, as far as the volume's setting is overridden. */
export interface OriginConfig {
  readonly storage: string | undefined;
  readonly bucket: string | undefined;
  readonly maxDownloads: number;
  readonly maxUploads: number;
  readonly getTimeoutMs: number;
  readonly putTimeoutMs: number;
  readonly ioRetries: number;
}

/** Local tiers. */
export interface CacheConfig {
  /** Empty: no disk tier. */
  readonly dirs: readonly string[];
  readonly diskBytes: number;
  readonly memoryBytes: number;
  readonly bufferBytes: number;
  readonly freeSpaceRatio: number;
  readonly eviction: EvictionName;
  readonly verify: ChecksumMode;
  readonly fileMode: number;
  readonly prefetchWorkers: number;
}

/** How new blocks wait on the cache disks to be uploaded. */
export interface StagingConfig {
  /** `--writeback` */
  readonly writeback: boolean;
  /** `--cache-dir`: blocks may wait there from when there was a cache. */
  readonly dirs: readonly string[];
  /** Larger blocks are uploaded directly; undefined: all are staged. */
  readonly belowBytes: number | undefined;
  /** Blocks that are staged at once. */
  readonly writesMax: number;
  readonly delayMs: number;
  /** Undefined: at all hours. */
  readonly hours: UploadHours | undefined;
}

/** The cache group. */
export interface GroupConfig {
  /** Undefined: this node is alone. */
  readonly name: string | undefined;
  readonly weight: number;
  /** Where this node stands, e.g. a rack or an availability zone. */
  readonly zone: string | undefined;
  /** Nodes that keep each block. */
  readonly replicas: number;
  /** Threads that serve peers; 0: the main thread does. */
  readonly threads: number;
  readonly noSharing: boolean;
  readonly peers: readonly string[];
  readonly listen: { host: string; port: number };
  /** Addresses to give to others instead of those of the interfaces. */
  readonly announce: readonly string[];
  /** Undefined: the group's secret comes from the volume's setting. */
  readonly secretFile: string | undefined;
  /** Blocks are encrypted on their way. */
  readonly encrypt: boolean;
  /** New blocks go to their owners. */
  readonly fill: boolean;
}

/** Values of `--passthrough`. */
export const PASSTHROUGH_MODES = ['auto', 'on', 'off'] as const;

/** The kernel's side. */
export interface FuseConfig {
  readonly driver: 'auto' | 'kernel' | 'fuse-native';
  /** Undefined: chosen by the number of cores. */
  readonly workers: number | undefined;
  readonly allowOther: boolean;
  /** Whether the kernel reads cached files by itself; `auto`: where that breaks no promise. */
  readonly passthrough: (typeof PASSTHROUGH_MODES)[number];
}

/** How the volume is shown and read. */
export interface ReadingConfig {
  readonly subdir: string | undefined;
  readonly attrCacheMs: number;
  readonly entryCacheMs: number;
  readonly dirEntryCacheMs: number;
  readonly negativeEntryCacheMs: number;
  readonly readdirCache: boolean;
  readonly openCacheMs: number;
  readonly openCacheLimit: number;
  readonly maxReadaheadBytes: number | undefined;
  /** Undefined: a share of the memory tier. */
  readonly fileAheadBytes: number | undefined;
  readonly hideInternal: boolean;
  readonly enableXattr: boolean;
  readonly enableCap: boolean;
  readonly enableSelinux: boolean;
}

/** What commander hands over: option names in camel case, values as typed by the user. */
export type RawOptions = Readonly<Record<string, string | boolean | undefined>>;

const DEFAULT_MEMORY_BYTES = 1024 * 2 ** 20;

/** @throws UsageError that names the option and its value */
export function toMountConfig(metaUrl: string, mountpoint: string, raw: RawOptions): MountConfig {
  const metrics = text(raw, 'metrics');
  const readWrite = isReadWrite(raw);
  const cache = cacheConfig(raw);
  return {
    metaUrl,
    mountpoint: path.resolve(mountpoint),
    background: raw['background'] === true,
    log: optional(raw, 'log'),
    logLevel: parseChoice('--log-level', text(raw, 'logLevel'), LOG_LEVELS),
    metricsAddress: metrics === 'none' ? undefined : parseAddress('--metrics', metrics),
    heartbeatMs: atLeast('--heartbeat', parseDuration('--heartbeat', text(raw, 'heartbeat')), 100),
    readWrite,
    skipDirMtimeMs: duration(raw, 'skipDirMtime'),
    origin: originConfig(raw),
    cache,
    staging: stagingConfig(raw, { readWrite, hasDisk: cache.dirs.length > 0 }),
    group: groupConfig(raw, readWrite),
    fuse: fuseConfig(raw),
    reading: readingConfig(raw),
  };
}

function isReadWrite(raw: RawOptions): boolean {
  const readWrite = raw['readWrite'] === true;
  if (!readWrite) return false;
  if (raw['readOnly'] === true) throw new UsageError('--read-write: contradicts --read-only');
  if (raw['fuseDriver'] === 'fuse-native') {
    throw new UsageError('--read-write: the driver fuse-native only reads');
  }
  return true;
}

/** The cache directory when none is named: JuiceFS's own. */
export function defaultCacheDir(uid: number): string {
  return uid === 0 ? '/var/jfsCache' : path.join(homedir(), '.juicefs', 'cache');
}

/** The log of a mount in the background when none is named: where JuiceFS has its own. */
export function defaultLog(uid: number): string {
  return uid === 0 ? '/var/log/cachemesh.log' : path.join(homedir(), '.juicefs', 'cachemesh.log');
}

function originConfig(raw: RawOptions): OriginConfig {
  return {
    storage: optional(raw, 'storage'),
    bucket: optional(raw, 'bucket'),
    maxDownloads: whole(raw, 'maxDownloads', { min: 1, max: 10_000 }),
    maxUploads: whole(raw, 'maxUploads', { min: 1, max: 10_000 }),
    getTimeoutMs: atLeast('--get-timeout', duration(raw, 'getTimeout'), 1),
    putTimeoutMs: atLeast('--put-timeout', duration(raw, 'putTimeout'), 1),
    ioRetries: whole(raw, 'ioRetries', { min: 0, max: 1_000 }),
  };
}

function cacheConfig(raw: RawOptions): CacheConfig {
  const dirs = cacheDirs(raw);
  const diskBytes = size(raw, 'cacheSize');
  const memory = optional(raw, 'memoryCacheSize');
  const given = memory === undefined ? undefined : parseSize('--memory-cache-size', memory);
  const byDefault = Math.min(DEFAULT_MEMORY_BYTES, Math.floor(totalmem() / 4));
  const asCacheSize = dirs.length === 0 && raw['cacheSizeGiven'] === true ? diskBytes : undefined;
  return {
    dirs: diskBytes === 0 ? [] : dirs,
    diskBytes,
    memoryBytes: given ?? asCacheSize ?? byDefault,
    bufferBytes: atLeast('--buffer-size', size(raw, 'bufferSize'), 32 * 2 ** 20),
    freeSpaceRatio: parseRatio('--free-space-ratio', text(raw, 'freeSpaceRatio')),
    eviction: parseChoice('--cache-eviction', text(raw, 'cacheEviction'), EVICTION_NAMES),
    verify: parseChoice(
      '--verify-cache-checksum',
      text(raw, 'verifyCacheChecksum'),
      CHECKSUM_MODES,
    ),
    fileMode: fileMode(text(raw, 'cacheMode')),
    prefetchWorkers: whole(raw, 'prefetch', { min: 0, max: 64 }),
  };
}

/** `--cache-dir`, taken apart; none for `memory`. */
function cacheDirs(raw: RawOptions): string[] {
  const dirs = text(raw, 'cacheDir')
    .split(':')
    .filter((dir) => dir !== '');
  if (dirs.length === 0) throw new UsageError('--cache-dir: names no directory');
  return dirs.length === 1 && dirs[0] === 'memory' ? [] : dirs.map((dir) => path.resolve(dir));
}

/** Options that say how `--writeback` works, in camel case. */
const STAGING_OPTIONS = [
  'writebackThresholdSize',
  'maxStageWrite',
  'uploadDelay',
  'uploadHours',
] as const;

function stagingConfig(
  raw: RawOptions,
  { readWrite, hasDisk }: { readWrite: boolean; hasDisk: boolean },
): StagingConfig {
  const writeback = raw['writeback'] === true;
  const useless = STAGING_OPTIONS.find((name) => !writeback && optional(raw, name) !== undefined);
  if (useless !== undefined) {
    throw new UsageError(`${flagOf(useless)} makes sense only with --writeback`);
  }
  if (writeback && !readWrite) {
    throw new UsageError('--writeback makes sense only with --read-write');
  }
  if (writeback && !hasDisk) {
    throw new UsageError('--writeback needs a cache disk: see --cache-dir and --cache-size');
  }
  const threshold = optional(raw, 'writebackThresholdSize') ?? '0';
  const belowBytes = parseSize('--writeback-threshold-size', threshold, 'B');
  return {
    writeback,
    dirs: cacheDirs(raw),
    belowBytes: belowBytes === 0 ? undefined : belowBytes,
    writesMax: parseWhole('--max-stage-write', optional(raw, 'maxStageWrite') ?? '1000', {
      min: 1,
      max: 100_000,
    }),
    delayMs: parseDuration('--upload-delay', optional(raw, 'uploadDelay') ?? '0'),
    hours: uploadHours(optional(raw, 'uploadHours')),
  };
}

function uploadHours(given: string | undefined): UploadHours | undefined {
  if (given === undefined) return undefined;
  const hours = parseUploadHours(given);
  if (hours !== undefined) return hours;
  throw new UsageError(`--upload-hours: "${given}" is no pair of hours from 0 to 23 like 22-6`);
}

function groupConfig(raw: RawOptions, readWrite: boolean): GroupConfig {
  const name = optional(raw, 'cacheGroup');
  const peers = optional(raw, 'peers');
  if (name === undefined && peers !== undefined) {
    throw new UsageError('--peers makes sense only with --cache-group');
  }
  const secretFile = optional(raw, 'groupSecretFile');
  if (name === undefined && secretFile !== undefined) {
    throw new UsageError('--group-secret-file makes sense only with --cache-group');
  }
  const encrypt = raw['encrypt'] === true;
  if (name === undefined && encrypt) {
    throw new UsageError('--encrypt makes sense only with --cache-group');
  }
  const fill = raw['fillGroupCache'] === true;
  if (name === undefined && fill) {
    throw new UsageError('--fill-group-cache makes sense only with --cache-group');
  }
  if (!readWrite && fill) {
    throw new UsageError('--fill-group-cache makes sense only with --read-write');
  }
  return {
    name,
    fill,
    weight: whole(raw, 'groupWeight', { min: 0, max: 1_000 }),
    zone: zoneOf(optional(raw, 'zone')),
    replicas: whole(raw, 'replicas', { min: 1, max: 16 }),
    threads: whole(raw, 'peerThreads', { min: 0, max: 64 }),
    noSharing: raw['noSharing'] === true,
    peers: peers?.split(',').filter((peer) => peer !== '') ?? [],
    listen: parseAddress('--listen', text(raw, 'listen')),
    announce:
      optional(raw, 'announce')
        ?.split(',')
        .filter((address) => address !== '') ?? [],
    secretFile,
    encrypt,
  };
}

function zoneOf(zone: string | undefined): string | undefined {
  if (zone === undefined || /^[\w.:/-]{1,64}$/.test(zone)) return zone;
  throw new UsageError(`--zone: "${zone}" is not a name of 1 to 64 letters, digits and ._:/-`);
}

function fuseConfig(raw: RawOptions): FuseConfig {
  const workers = optional(raw, 'fuseWorkers');
  const bounds = { min: 1, max: 64 };
  return {
    driver: parseChoice('--fuse-driver', text(raw, 'fuseDriver'), [
      'auto',
      'kernel',
      'fuse-native',
    ]),
    workers: workers === undefined ? undefined : parseWhole('--fuse-workers', workers, bounds),
    allowOther: raw['allowOther'] === true,
    passthrough: parseChoice('--passthrough', text(raw, 'passthrough'), PASSTHROUGH_MODES),
  };
}

function readingConfig(raw: RawOptions): ReadingConfig {
  const readahead = optional(raw, 'maxReadahead');
  const fileAhead = optional(raw, 'fileReadahead');
  return {
    subdir: optional(raw, 'subdir'),
    attrCacheMs: duration(raw, 'attrCache'),
    entryCacheMs: duration(raw, 'entryCache'),
    dirEntryCacheMs: duration(raw, 'dirEntryCache'),
    negativeEntryCacheMs: duration(raw, 'negativeEntryCache'),
    readdirCache: raw['readdirCache'] === true,
    openCacheMs: duration(raw, 'openCache'),
    openCacheLimit: whole(raw, 'openCacheLimit', { min: 1, max: 10_000_000 }),
    maxReadaheadBytes:
      readahead === undefined ? undefined : parseSize('--max-readahead', readahead),
    fileAheadBytes: fileAhead === undefined ? undefined : parseSize('--file-readahead', fileAhead),
    hideInternal: raw['hideInternal'] === true,
    enableXattr: raw['enableXattr'] === true,
    enableCap: raw['enableCap'] === true,
    enableSelinux: raw['enableSelinux'] === true,
  };
}

function fileMode(value: string): number {
  if (!/^0?[0-7]{3}$/.test(value)) {
    throw new UsageError(`--cache-mode: "${value}" is no file mode like 0600`);
  }
  return Number.parseInt(value, 8);
}

function optional(raw: RawOptions, name: string): string | undefined {
  const value = raw[name];
  return typeof value === 'string' ? value : undefined;
}

function text(raw: RawOptions, name: string): string {
  return optional(raw, name) ?? '';
}

function size(raw: RawOptions, name: string): number {
  return parseSize(flagOf(name), text(raw, name));
}

function duration(raw: RawOptions, name: string): number {
  return parseDuration(flagOf(name), text(raw, name));
}

function whole(raw: RawOptions, name: string, bounds: { min: number; max: number }): number {
  return parseWhole(flagOf(name), text(raw, name), bounds);
}

function flagOf(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function atLeast(option: string, value: number, min: number): number {
  if (value < min) throw new UsageError(`${option}: ${value} is below the minimum of ${min}`);
  return value;
}
