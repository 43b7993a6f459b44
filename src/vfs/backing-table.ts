import type { BackingFiles } from '../fuse/driver.ts';
import type { CachedFile } from '../mesh/loader.ts';
import { Errno } from '../posix/errno.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Gauge, Metrics } from '../runtime/metrics.ts';

/** Files at once. */
const FILES_MAX = 4096;

/** A file that the kernel reads by itself. */
export interface Backing {
  /** The kernel's number for it. */
  readonly id: number;
  /** Names what it contains: a block, or a view. */
  readonly content: string;
  readonly lengthBytes: number;
  readonly standing: CachedFile['standing'];
  readonly claim: CachedFile['claim'];
  /** Open handles that have it. */
  handles: number;
}

/**
 * Cache files that the kernel has been given, each as long as a handle has it. Eviction removes such a
 * file's name only, its space stays taken: so there is a bound. (Views count what they take by themselves.)
 */
export class BackingTable {
  readonly #files: BackingFiles;
  readonly #bytesMax: number;
  readonly #logger: Logger;
  readonly #byContent = new Map<string, Backing>();
  readonly #count: Gauge;
  readonly #bytes: Gauge;
  #open = 0;
  #openBytes = 0;
  #isUnfit = false;

  /** @param options - `bytesMax`: of all files together, views aside */
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
      help: 'Bytes of cache files that the kernel reads by itself, views aside; eviction does not free them',
    });
  }

  /** The file for one more handle: end with {@link release}. */
  acquire(content: string, file: CachedFile): Backing | 'full' | 'refused' {
    const known = this.#byContent.get(content);
    if (known?.standing.isGood === true) {
      known.handles += 1;
      return known;
    }
    const { lengthBytes, standing, claim } = file;
    if (this.#isUnfit) return 'refused';
    if (!this.#hasRoom(file)) return 'full';
    const id = this.#files.open(file.fd, lengthBytes);
    if (id < 0) {
      claim?.letGo();
      this.#onRefusal(-id);
      return 'refused';
    }
    const backing = { id, content, lengthBytes, standing, claim, handles: 1 };
    this.#byContent.set(content, backing);
    this.#note(backing, 1);
    return backing;
  }

  #hasRoom({ lengthBytes, claim }: CachedFile): boolean {
    if (this.#open >= FILES_MAX) return false;
    return claim === undefined ? this.#openBytes + lengthBytes <= this.#bytesMax : claim.hold();
  }

  release(backing: Backing): void {
    backing.handles -= 1;
    if (backing.handles > 0) return;
    const { content, claim } = backing;
    if (this.#byContent.get(content) === backing) this.#byContent.delete(content);
    this.#note(backing, -1);
    this.#files.close(backing.id);
    claim?.letGo();
  }

  #note({ lengthBytes, claim }: Backing, sign: 1 | -1): void {
    this.#open += sign;
    if (claim === undefined) this.#openBytes += sign * lengthBytes;
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
