import { type BlockKey, blockIdOf } from '../../block/block-key.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { withDeadline } from '../../runtime/deadline.ts';
import type { Logger } from '../../runtime/logger.ts';
import { LogThrottle } from '../../runtime/log-throttle.ts';
import type { Random } from '../../runtime/random.ts';
import { backoffMs } from '../backoff.ts';
import type { BlockStorage } from '../block-upload.ts';
import { CacheError, systemCode } from '../cache-error.ts';
import type { BlockStage, StagedBlock } from './block-stage.ts';
import type { StageDisk } from './stage-disk.ts';
import { isUploadHour, type UploadHours } from './upload-hours.ts';

/** Before a block whose upload has failed is tried again; each try has retries of its own. */
const BACKOFF = { baseMs: 1_000, maxMs: 15_000 };
/** How often blocks that are not due are looked at. */
const LOOK_MS = 1_000;
const LOG_EVERY_MS = 10_000;
/** For a block that is looked for in the caches as its disk does not give it. */
const RESCUE_TIMEOUT_MS = 60_000;
/** Errors of a disk that does not have a block, or not any more. */
const UNREADABLE: ReadonlySet<string> = new Set(['ENOENT', 'EIO']);
/** Memory of blocks that is kept for the next ones. */
const BUFFERS_KEPT = 4;

/** What a {@link StageUploader} works with. */
export interface StageUploaderParts {
  readonly stage: BlockStage;
  /** The object store. */
  readonly storage: BlockStorage & { has(key: BlockKey, signal: AbortSignal): Promise<boolean> };
  /** Blocks that are uploaded at once (`--max-uploads`). */
  readonly uploadsMax: number;
  /** A block is uploaded this long after it was staged (`--upload-delay`). */
  readonly delayMs: number;
  /** Undefined: at all hours. */
  readonly hours: UploadHours | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Reads a whole block from wherever a cache has it. Rejects when none has. */
export type ReadElsewhere = (key: BlockKey, into: Uint8Array, signal: AbortSignal) => Promise<void>;

/** Uploads staged blocks in the background, those first that wait longest, until each has arrived. */
export class StageUploader {
  readonly #parts: StageUploaderParts;
  readonly #waiting = new Set<StagedBlock>();
  /** Those that have failed and may be tried again. */
  readonly #again = new Set<StagedBlock>();
  /** How often in a row the upload of a block has failed. */
  readonly #failures = new Map<StagedBlock, number>();
  readonly #running = new Set<Promise<void>>();
  readonly #buffers: Buffer[] = [];
  readonly #lowDisks = new Set<StageDisk>();
  readonly #stopping = new AbortController();
  readonly #lines: LogThrottle;
  #readElsewhere: ReadElsewhere = () => Promise.reject(new Error('no cache is asked'));
  #isHurried = false;
  #timer: Timer | undefined;

  constructor(parts: StageUploaderParts) {
    this.#parts = parts;
    this.#lines = new LogThrottle(parts.clock, LOG_EVERY_MS);
  }

  /**
   * Begins with what is staged already.
   *
   * @param readElsewhere - has the bytes of blocks that cannot be read from their disks; nobody when left out
   */
  start(readElsewhere?: ReadElsewhere): void {
    const { stage } = this.#parts;
    if (readElsewhere !== undefined) this.#readElsewhere = readElsewhere;
    for (const block of stage.waiting()) this.#waiting.add(block);
    stage.onStaged((block) => {
      this.#waiting.add(block);
      this.#pump();
    });
    this.#pump();
  }

  /** From now on neither the delay nor the hours count, and new blocks are not staged. */
  hurry(): void {
    const { stage, logger } = this.#parts;
    const message = 'what is staged is uploaded, and no more staged';
    if (!this.#isHurried) logger.info(stage.usage(), message);
    stage.end();
    this.#isHurried = true;
    this.#pump();
  }

  /** Ends what is under way; what is not uploaded stays staged. */
  async stop(): Promise<void> {
    const { stage, logger } = this.#parts;
    this.#timer?.cancel();
    this.#stopping.abort(new CacheError('closed', 'the daemon is stopping'));
    await Promise.all(this.#running);
    const left = stage.usage();
    if (left.blocks === 0) return;
    logger.warn(left, 'blocks stay staged; the next mount with this cache directory uploads them');
  }

  #pump(): void {
    const { uploadsMax } = this.#parts;
    while (this.#running.size < uploadsMax && !this.#stopping.signal.aborted) {
      const block = this.#next();
      if (block === undefined) break;
      const run = this.#run(block).finally(() => {
        this.#running.delete(run);
        this.#pump();
      });
      this.#running.add(run);
    }
    if (this.#waiting.size + this.#again.size > 0 && this.#running.size < uploadsMax)
      this.#lookLater();
  }

  #next(): StagedBlock | undefined {
    const { hours, clock } = this.#parts;
    const isOpen = this.#isHurried || hours === undefined || isUploadHour(hours, clock.wallMs());
    if (!isOpen) return undefined;
    const [again] = this.#again;
    if (again !== undefined) return this.#take(again);
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    if (this.#isDue(first)) return this.#take(first);
    // Whoever waits on a disk that is short of space need not wait for its time.
    if (this.#lowDisks.size === 0) return undefined;
    for (const block of this.#waiting) if (this.#lowDisks.has(block.disk)) return this.#take(block);
    return undefined;
  }

  #take(block: StagedBlock): StagedBlock {
    this.#waiting.delete(block);
    this.#again.delete(block);
    return block;
  }

  #isDue({ stagedAtMs }: StagedBlock): boolean {
    const { delayMs, clock } = this.#parts;
    return this.#isHurried || delayMs === 0 || clock.wallMs() - stagedAtMs >= delayMs;
  }

  #lookLater(): void {
    if (this.#timer !== undefined || this.#stopping.signal.aborted) return;
    this.#timer = this.#parts.clock.setTimer(LOOK_MS, () => {
      this.#timer = undefined;
      void this.#lookAtSpace().then(() => this.#pump());
    });
  }

  /** Never rejects. */
  async #lookAtSpace(): Promise<void> {
    for (const disk of this.#parts.stage.disks) {
      const room = await disk.room().catch(() => 'enough');
      if (room === 'enough') this.#lowDisks.delete(disk);
      else this.#lowDisks.add(disk);
    }
  }

  /** Tries to upload a block. Never rejects. */
  async #run(block: StagedBlock): Promise<void> {
    const { signal } = this.#stopping;
    if (block.isDropped) return;
    const { sizeBytes } = block.key;
    try {
      const buffer = this.#room(sizeBytes);
      await this.#upload(block, buffer.subarray(0, sizeBytes));
      this.#failures.delete(block);
      // Not after a failure: an upload that is given up may still look at the bytes.
      if (this.#buffers.length < BUFFERS_KEPT) this.#buffers.push(buffer);
    } catch (error) {
      if (!signal.aborted) await this.#onFailure(block, error);
    }
  }

  async #upload(block: StagedBlock, plain: Buffer): Promise<void> {
    const { key, disk } = block;
    await disk.read(key, { offset: 0, length: key.sizeBytes }, plain, this.#stopping.signal);
    if (!block.isDropped) await this.#send(block, plain);
  }

  async #send(block: StagedBlock, plain: Buffer): Promise<void> {
    const { stage, storage, clock } = this.#parts;
    const { key } = block;
    await storage.put(key, plain, this.#stopping.signal);
    stage.metrics.uploads.add();
    stage.metrics.delaySeconds.add(Math.max(0, clock.wallMs() - block.stagedAtMs) / 1000);
    // Who dropped it could not delete an object that was on its way.
    if (block.isDropped) await this.#takeBack(key);
    else await stage.remove(block.id);
  }

  async #takeBack(key: BlockKey): Promise<void> {
    const { storage, logger } = this.#parts;
    try {
      await storage.remove(key, this.#stopping.signal);
    } catch (error) {
      const fields = { block: blockIdOf(key), error: String(error) };
      logger.warn(fields, 'an unused object is left for gc');
    }
  }

  async #onFailure(block: StagedBlock, error: unknown): Promise<void> {
    if (block.isDropped) return;
    const isUnreadable = error instanceof CacheError || UNREADABLE.has(systemCode(error) ?? '');
    if (isUnreadable && (await this.#settleUnreadable(block, error))) return;
    const { stage, clock, random, logger } = this.#parts;
    stage.metrics.retries.add();
    const failures = (this.#failures.get(block) ?? 0) + 1;
    this.#failures.set(block, failures);
    const leftOut = this.#lines.admit('retry');
    if (leftOut !== undefined) {
      const fields = { block: block.id, failures, leftOut, error: String(error) };
      logger.warn(fields, 'a staged block could not be uploaded and stays staged for another try');
    }
    clock.setTimer(backoffMs(BACKOFF, failures, random), () => {
      if (block.isDropped) this.#failures.delete(block);
      else this.#again.add(block);
      this.#pump();
    });
  }

  /**
   * A block that cannot be read here any more may have been uploaded by another daemon that shares the
   * directory, or by one that died before it removed the file. Else a cache may have it.
   *
   * @returns whether there is nothing more to try. Never rejects
   */
  async #settleUnreadable(block: StagedBlock, error: unknown): Promise<boolean> {
    const { stage, storage, logger } = this.#parts;
    const code = systemCode(error);
    const isGone = code === 'ENOENT';
    const fields = {
      block: block.id,
      path: block.disk.paths.file(block.key),
      error: String(error),
    };
    try {
      if (await storage.has(block.key, this.#stopping.signal)) {
        logger.info(fields, 'a staged block that cannot be read is in the object store already');
        await stage.remove(block.id);
        return true;
      }
      if (await this.#rescue(block, fields)) return true;
      // All of them are gone with their disk, which may come back.
      if (isGone && !(await block.disk.isThere())) return false;
    } catch {
      return false;
    }
    if (block.isDropped) return true;
    if (code === 'EIO') return false;
    if (isGone) stage.metrics.lost.add();
    else stage.metrics.damaged.add();
    const what = isGone ? 'has vanished' : 'is damaged: its file is left where it is';
    logger.error(fields, `a staged block ${what}, and the object store does not have it`);
    stage.setAside(block);
    return true;
  }

  /**
   * @returns whether a cache had the block, so that it is uploaded now
   * @throws what the object store throws; when stopped
   */
  async #rescue(block: StagedBlock, fields: Readonly<Record<string, unknown>>): Promise<boolean> {
    const { stage, clock, logger } = this.#parts;
    const { key } = block;
    const plain = Buffer.allocUnsafeSlow(key.sizeBytes);
    const what = `looking for block ${block.id} in the caches`;
    const wait = { what, timeoutMs: RESCUE_TIMEOUT_MS, signal: this.#stopping.signal };
    try {
      await withDeadline(clock, wait, (timed) => this.#readElsewhere(key, plain, timed));
    } catch (error) {
      if (this.#stopping.signal.aborted) throw error;
      // The error of the disk is the one that counts.
      return false;
    }
    if (block.isDropped) return true;
    await this.#send(block, plain);
    stage.metrics.rescued.add();
    logger.warn(fields, 'a staged block that cannot be read was uploaded from a cache');
    return true;
  }

  /** New buffers of this size would have the collector mark the whole heap again and again. */
  #room(sizeBytes: number): Buffer {
    const kept = this.#buffers.pop();
    return kept !== undefined && kept.length >= sizeBytes
      ? kept
      : Buffer.allocUnsafeSlow(sizeBytes);
  }
}
