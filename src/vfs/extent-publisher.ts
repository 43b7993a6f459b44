import { CHUNK_BYTES } from '../block/geometry.ts';
import type { ExtentSink } from '../fuse/driver.ts';
import type { BlockLoader } from '../mesh/loader.ts';
import type { LeaseRef } from '../runtime/lease-table.ts';
import type { FileVersion, PublishedUnit } from './file-version.ts';
import type { PlanCache } from './plan-cache.ts';
import { soleBlock } from './sole-block.ts';

/**
 * Units published at once, of all files together; the oldest goes. About 150 bytes each. Half of what
 * the kernel driver's map has room for, so that few displace each other there.
 */
const UNITS_MAX = 131_072;

/**
 * Tells worker threads where parts of files lie in the cache, so that they answer reads alone.
 *
 * A unit (block-sized, aligned part of a file) can be published when it lies in one cached block.
 * Nothing is published for a version that is not the file's content any more, and what was is
 * retracted when the version ends.
 */
export class ExtentPublisher {
  readonly #loader: BlockLoader;
  readonly #plans: PlanCache;
  readonly #blockBytes: number;
  /** The oldest first. */
  readonly #published = new Set<PublishedUnit>();
  #sink: ExtentSink | undefined;
  #paused = false;

  constructor(loader: BlockLoader, plans: PlanCache, blockBytes: number) {
    this.#loader = loader;
    this.#plans = plans;
    this.#blockBytes = blockBytes;
  }

  /** Where extents go from now on; undefined: nowhere. */
  attach(sink: ExtentSink | undefined): void {
    this.#sink = sink;
  }

  /** Whether anybody takes extents. */
  get attached(): boolean {
    return this.#sink !== undefined && !this.#paused;
  }

  /**
   * Takes everything back and publishes nothing, or goes on: while the access log is read, every
   * request has to come by.
   */
  pause(paused: boolean): void {
    this.#paused = paused;
    if (paused) for (const published of this.#published) this.#retract(published);
  }

  /**
   * Publishes a unit if all of it lies in one cached block. Cheap when it is published already.
   *
   * @param unit - number of the unit in the file
   * @param options - `again`: also when it was published before; a read has come to us all the same
   * @returns whether workers know the unit now
   */
  offer(
    version: FileVersion,
    unit: number,
    options: { notify: boolean; again?: boolean },
  ): boolean {
    const sink = this.#sink;
    if (sink === undefined || this.#paused || !version.isSteady) return false;
    const known = version.published.get(unit);
    // An open of a file that was opened before comes by here each time.
    const isKnown = known !== undefined && options.again !== true;
    if (isKnown && this.#loader.isCurrent(known.lease)) return true;
    const found = this.#find(version, unit);
    if (found === undefined) return false;
    const { lease, fileOffset, lengthBytes, leaseOffset } = found;
    const endsFile = fileOffset + lengthBytes === version.lengthBytes;
    sink.publish({
      fileId: version.fileId,
      fileOffset,
      lengthBytes,
      lease,
      leaseOffset,
      endsFile,
      // Behind the last unit there is nothing to read ahead.
      notify: options.notify && !endsFile,
    });
    this.#remember(version, unit, lease);
    return true;
  }

  /** Whether all of a unit lies in one cached block whose place is known. */
  isAtHand(version: FileVersion, unit: number): boolean {
    if (!version.current) return false;
    const known = version.published.get(unit);
    if (known !== undefined && this.#loader.isCurrent(known.lease)) return true;
    return this.#find(version, unit) !== undefined;
  }

  #find(version: FileVersion, unit: number) {
    const fileOffset = unit * this.#blockBytes;
    const lengthBytes = Math.min(this.#blockBytes, version.lengthBytes - fileOffset);
    if (lengthBytes <= 0) return undefined;
    const pieces = this.#plans.cached(version, Math.floor(fileOffset / CHUNK_BYTES));
    if (pieces === undefined) return undefined;
    const range = { offset: fileOffset % CHUNK_BYTES, length: lengthBytes };
    const sole = soleBlock(pieces, range, this.#blockBytes);
    const lease = sole && this.#loader.lease(sole.key);
    if (sole === undefined || lease === undefined) return undefined;
    return { fileOffset, lengthBytes, lease, leaseOffset: sole.offset };
  }

  /** Takes back everything that was published for a version. */
  retractAll(version: FileVersion): void {
    for (const published of version.published.values()) this.#retract(published);
  }

  #remember(version: FileVersion, unit: number, lease: LeaseRef): void {
    const before = version.published.get(unit);
    if (before !== undefined) this.#published.delete(before);
    const published = { version, unit, lease };
    version.published.set(unit, published);
    this.#published.add(published);
    if (this.#published.size <= UNITS_MAX) return;
    const [oldest] = this.#published;
    if (oldest !== undefined) this.#retract(oldest);
  }

  #retract(published: PublishedUnit): void {
    const { version, unit } = published;
    this.#published.delete(published);
    version.published.delete(unit);
    this.#sink?.retract(version.fileId, unit * this.#blockBytes);
  }
}
