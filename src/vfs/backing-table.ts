import type { BlockId } from '../block/block-key.ts';
import type { BackingFiles } from '../fuse/driver.ts';
import type { CachedFile } from '../mesh/loader.ts';
import { Errno } from '../posix/errno.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Gauge, Metrics } from '../runtime/metrics.ts';

/** Files at once. */
const FILES_MAX = 4096;

/** A cache file that the kernel reads by itself. */
export interface Backing {
  /** The kernel's number for it. */
  readonly id: number;
  readonly block: BlockId;
  readonly lengthBytes: number;
  readonly standing: CachedFile['standing'];
  /** Open handles that have it. */
  handles: number;
}

/**
 * Cache files that the kernel has been given, each as long as a handle has it. Eviction removes such a
 * file's name only, its space stays taken: so there is a bound.
 */
export class BackingTable {
  readonly #files: BackingFiles;
  readonly #bytesMax: number;
  readonly #logger: Logger;
  readonly #byBlock = new Map<BlockId, Backing>();
  readonly #count: Gauge;
  readonly #bytes: Gauge;
  #open = 0;
  #openBytes = 0;
  #isUnfit = false;

  /** @param options - `bytesMax`: of all files together */
  constructor(
    files: BackingFiles,
    options: { bytesMax: number; logger: Logger; metrics: Metrics },
  ) {
    this.#files = files;
    this.#bytesMax = options.bytesMax;
    this.#logger = options.logger;
    this.#count = options.metrics.gauge({
      name: 'fuse_passthrough_files',
      help: 'Cache files that the kernel reads by itself',
    });
    this.#bytes = options.metrics.gauge({
      name: 'fuse_passthrough_bytes',
      help: 'Bytes of cache files that the kernel reads by itself; eviction does not free them',
    });
  }

  /** The file for one more handle: end with {@link release}. */
  acquire(block: BlockId, file: CachedFile): Backing | 'full' | 'refused' {
    const known = this.#byBlock.get(block);
    if (known?.standing.isGood === true) {
      known.handles += 1;
      return known;
    }
    const { lengthBytes, standing } = file;
    if (this.#isUnfit) return 'refused';
    if (this.#open >= FILES_MAX || this.#openBytes + lengthBytes > this.#bytesMax) return 'full';
    const id = this.#files.open(file.fd, lengthBytes);
    if (id < 0) {
      this.#onRefusal(-id);
      return 'refused';
    }
    const backing = { id, block, lengthBytes, standing, handles: 1 };
    this.#byBlock.set(block, backing);
    this.#note(1, lengthBytes);
    return backing;
  }

  release(backing: Backing): void {
    backing.handles -= 1;
    if (backing.handles > 0) return;
    if (this.#byBlock.get(backing.block) === backing) this.#byBlock.delete(backing.block);
    this.#note(-1, -backing.lengthBytes);
    this.#files.close(backing.id);
  }

  #note(files: number, bytes: number): void {
    this.#open += files;
    this.#openBytes += bytes;
    this.#count.set(this.#open);
    this.#bytes.set(this.#openBytes);
  }

  /** What the kernel refuses because of who we are or where the cache lies, it refuses always. */
  #onRefusal(errno: number): void {
    this.#isUnfit = errno === Errno.EPERM || errno === Errno.ELOOP || errno === Errno.EOPNOTSUPP;
    const hint = errno === Errno.ELOOP ? ': the cache lies on a stacked file system (overlay)' : '';
    const message = `the kernel takes no cache file to read by itself${hint}`;
    if (this.#isUnfit) this.#logger.warn({ errno }, message);
    else this.#logger.debug({ errno }, message);
  }
}
