import type { Extent, ExtentSink } from '../../src/fuse/driver.ts';
import type { FuseContext } from '../../src/fuse/operations.ts';
import type { VolumeSetting } from '../../src/meta/setting.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { DEFAULT_VFS_OPTIONS, type VfsOptions } from '../../src/vfs/options.ts';
import { Vfs } from '../../src/vfs/vfs.ts';
import type { PassthroughSource } from '../../src/vfs/vfs-parts.ts';
import { FakeCache } from './fake-cache.ts';
import { FakeLoader } from './fake-loader.ts';
import { FakeMeta } from './fake-meta.ts';
import { ManualClock } from './manual-clock.ts';

/** Blocks of the volume under test: small, so that files of a few KiB have many. */
export const BLOCK = 64 * 1024;

export const SETTING: VolumeSetting = {
  name: 'volume',
  uuid: '00000000-0000-0000-0000-000000000000',
  storage: 'file',
  bucket: '/nowhere/',
  accessKey: '',
  secretKey: '',
  sessionToken: '',
  blockBytes: BLOCK,
  compression: 'none',
  shards: 1,
  hashPrefix: false,
  capacityBytes: 0n,
  inodesMax: 0n,
  encryptKeyPem: undefined,
  encryptAlgo: 'aes256gcm-rsa',
  trashDays: 0,
  metaVersion: 1,
  enableAcl: false,
  dirStats: true,
  userGroupQuota: false,
  changeLog: false,
  raw: {},
};

/** Extents that workers would have. */
export class FakeSink implements ExtentSink {
  readonly extents = new Map<string, Extent>();
  published = 0;

  publish(extent: Extent): void {
    this.published += 1;
    this.extents.set(`${extent.fileId}/${Math.floor(extent.fileOffset / BLOCK)}`, extent);
  }

  retract(fileId: number, fileOffset: number): void {
    this.extents.delete(`${fileId}/${Math.floor(fileOffset / BLOCK)}`);
  }
}

/** A file system over doubles. @param passthrough - undefined: the kernel reads nothing by itself */
export function fakeVfs(
  options: Partial<VfsOptions> = {},
  setting: Partial<VolumeSetting> = {},
  passthrough?: PassthroughSource,
) {
  const meta = new FakeMeta();
  const loader = new FakeLoader(BLOCK);
  const cache = new FakeCache();
  const clock = new ManualClock();
  const metrics = memoryMetrics();
  const sink = new FakeSink();
  const vfs = new Vfs({
    meta,
    loader,
    cache,
    internals: { config: '{}', stats: async () => 'juicefs_uptime 1\n' },
    setting: { ...SETTING, ...setting },
    options: { ...DEFAULT_VFS_OPTIONS, ...options },
    passthrough,
    clock,
    logger: silentLogger,
    metrics,
  });
  vfs.attachExtents(sink);
  return { vfs, meta, loader, cache, clock, metrics, sink };
}

/** A request of root that nobody interrupts. */
export function context(signal: AbortSignal = new AbortController().signal): FuseContext {
  return { uid: 0, gid: 0, pid: 1, signal };
}

/** Reads and copies. */
export async function readBytes(
  vfs: Vfs,
  fh: bigint,
  range: { offset: number; length: number },
): Promise<Uint8Array> {
  const reply = await vfs.read(context(), 2n as never, fh, range);
  const bytes = Buffer.concat(reply.parts.map((part) => Buffer.from(part)));
  reply.release();
  return bytes;
}
