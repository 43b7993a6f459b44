import type { ByteRange } from '../block/byte-range.ts';
import { CHUNK_BYTES } from '../block/geometry.ts';
import { type Piece, planRead, type ReadStep, SliceRecordError } from '../block/read-plan.ts';
import type { BlockLoader } from '../mesh/loader.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Counter, Gauge, Metrics } from '../runtime/metrics.ts';
import type { ExtentPublisher } from './extent-publisher.ts';
import type { FileVersion } from './file-version.ts';
import type { VfsOptions } from './options.ts';
import type { OpenHandle } from './open-handle.ts';
import type { PlanCache } from './plan-cache.ts';
import type { ReadSession } from './read-sessions.ts';

/** What read-ahead works with. */
export interface ReadAheadParts {
  readonly loader: BlockLoader;
  readonly plans: PlanCache;
  readonly publisher: ExtentPublisher;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly blockBytes: number;
  /** Of one stream; 0 switches reading ahead off. */
  readonly maxBytes: number;
  /** Of all streams: blocks asked for that no reader has reached yet. */
  readonly budgetBytes: number;
  /** Memory for data on its way is counted here. */
  readonly bufferGauge: Gauge;
}

/** Share of the buffer that reading ahead may use, as JuiceFS has it. */
const BUFFER_SHARE = 0.8;
/** Blocks that one stream reads ahead, as JuiceFS has it. */
const STREAM_BLOCKS = 8;
/** Of a unit that was written in tiny pieces no more are asked for ahead. */
const BLOCKS_PER_UNIT_MAX = 64;

/** A reader that paused for so long gives its share of the budget back… */
const IDLE_MS = 10_000;
/** …which is looked for this often. */
const IDLE_CHECK_MS = 1_000;

/** What a session has asked for and not reached: bytes by unit. */
interface Ahead {
  readonly units: Map<number, number>;
  /** A slice list is being fetched to go on. */
  waiting: boolean;
}

/** How far streams may read ahead by a mount's options. */
export function readAheadLimits(
  { bufferBytes, maxReadaheadBytes }: Pick<VfsOptions, 'bufferBytes' | 'maxReadaheadBytes'>,
  blockBytes: number,
): Pick<ReadAheadParts, 'maxBytes' | 'budgetBytes'> {
  const maxBytes = maxReadaheadBytes ?? STREAM_BLOCKS * blockBytes;
  return { maxBytes, budgetBytes: bufferBytes * BUFFER_SHARE };
}

/** Brings blocks into the cache before a sequential reader asks for them. */
export class ReadAhead {
  readonly #parts: ReadAheadParts;
  readonly #ahead = new Map<ReadSession, Ahead>();
  readonly #blocks: Counter;
  readonly #failures: Counter;
  readonly #stopping = new AbortController();
  #usedBytes = 0;
  #idleCheckAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: ReadAheadParts) {
    this.#parts = parts;
    const help = 'Blocks asked for ahead of a reader';
    this.#blocks = parts.metrics.counter({ name: 'readahead_blocks', help });
    const failed = 'Slice lists for reading ahead that could not be had';
    this.#failures = parts.metrics.counter({ name: 'readahead_failures', help: failed });
  }

  /** Bytes asked for that no reader has reached yet. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * Takes note of a read.
   *
   * @returns whether it is part of a sequential stream; {@link advance} the session after the read
   *   itself was started
   */
  note(
    handle: OpenHandle,
    read: { offset: number; length: number },
  ): { session: ReadSession; sequential: boolean } {
    const { clock, blockBytes, maxBytes, budgetBytes } = this.#parts;
    const nowMs = clock.nowMs();
    this.#forgetIdle(nowMs);
    const limits = { blockBytes, maxBytes, budgetBytes, usedBytes: this.#usedBytes };
    const noted = handle.sessions.note({ ...read, nowMs }, limits);
    if (noted.replaced !== undefined) this.#forget(noted.replaced);
    return { session: noted.session, sequential: noted.session.windowBytes >= blockBytes };
  }

  /** Asks for what lies in the session's window and publishes what is there. */
  advance(handle: OpenHandle, session: ReadSession): void {
    const { blockBytes, budgetBytes } = this.#parts;
    if (session.windowBytes < blockBytes || handle.closed) return;
    const version = handle.version;
    const ahead = this.#aheadOf(session);
    // The unit being read comes first: it is published as soon as its block is complete.
    const reading = Math.floor(Math.max(0, session.lastOffset - 1) / blockBytes);
    this.#reached(ahead, reading);
    const end = Math.min(session.lastOffset + session.windowBytes, version.lengthBytes);
    for (let unit = reading; unit * blockBytes < end; unit += 1) {
      if (ahead.units.has(unit) || this.#publish(handle, version, unit)) continue;
      if (this.#usedBytes >= budgetBytes && unit > reading) return;
      if (!this.#request(handle, session, unit)) return;
    }
  }

  /** A handle is closed: nothing more is asked for on its behalf. */
  end(handle: OpenHandle): void {
    for (const session of handle.sessions.all) this.#forget(session);
  }

  /** Ends what waits for the metadata. */
  stop(): void {
    this.#stopping.abort();
  }

  /** @returns false when the slice list has to be fetched first */
  #request(handle: OpenHandle, session: ReadSession, unit: number): boolean {
    const { plans, loader, blockBytes } = this.#parts;
    const { version } = handle;
    const offset = unit * blockBytes;
    const index = Math.floor(offset / CHUNK_BYTES);
    const pieces = plans.cached(version, index);
    if (pieces === undefined) {
      this.#fetchPlan(handle, session, index);
      return false;
    }
    const length = Math.min(blockBytes, version.lengthBytes - offset);
    const steps = this.#plan(pieces, { offset: offset % CHUNK_BYTES, length });
    const keys = steps.flatMap(({ key }) => (key === undefined ? [] : [key]));
    const bytes = keys.reduce((sum, key) => sum + key.sizeBytes, 0);
    this.#aheadOf(session).units.set(unit, bytes);
    this.#use(bytes);
    if (offset >= session.lastOffset) this.#blocks.add(keys.length);
    // A unit that is spread over blocks is never published.
    const done = steps.length === 1 ? () => this.#publish(handle, version, unit) : undefined;
    for (const key of keys.slice(0, BLOCKS_PER_UNIT_MAX)) loader.prefetch(key, done);
    return true;
  }

  /** A bad record is the reader's concern, if it gets there. */
  #plan(pieces: readonly Piece[], range: ByteRange): ReadStep[] {
    try {
      return planRead(pieces, range, this.#parts.blockBytes);
    } catch (error) {
      if (!(error instanceof SliceRecordError)) throw error;
      this.#failures.add();
      return [];
    }
  }

  #publish(handle: OpenHandle, version: FileVersion, unit: number): boolean {
    if (version !== handle.opened) return false;
    return this.#parts.publisher.offer(version, unit, { notify: true });
  }

  #fetchPlan(handle: OpenHandle, session: ReadSession, index: number): void {
    const ahead = this.#aheadOf(session);
    if (ahead.waiting) return;
    ahead.waiting = true;
    const { plans, logger } = this.#parts;
    const { version } = handle;
    plans.load(version, index, this.#stopping.signal).then(
      () => {
        ahead.waiting = false;
        // A plan that was not kept would be fetched for ever: the next read goes on.
        if (plans.cached(version, index) !== undefined && this.#ahead.get(session) === ahead) {
          this.advance(handle, session);
        }
      },
      (error: unknown) => {
        ahead.waiting = false;
        this.#failures.add();
        logger.debug({ ino: version.ino, index, error: String(error) }, 'read-ahead failed');
      },
    );
  }

  #aheadOf(session: ReadSession): Ahead {
    const known = this.#ahead.get(session);
    if (known !== undefined) return known;
    const ahead = { units: new Map<number, number>(), waiting: false };
    this.#ahead.set(session, ahead);
    return ahead;
  }

  /** Units before `unit` are read, or were jumped over. */
  #reached(ahead: Ahead, unit: number): void {
    for (const [asked, bytes] of ahead.units) {
      if (asked >= unit) continue;
      ahead.units.delete(asked);
      this.#use(-bytes);
    }
  }

  #forget(session: ReadSession): void {
    const ahead = this.#ahead.get(session);
    if (ahead === undefined) return;
    this.#reached(ahead, Number.POSITIVE_INFINITY);
    this.#ahead.delete(session);
  }

  /** Files that stay open after a look at their beginning would use up the budget for ever. */
  #forgetIdle(nowMs: number): void {
    if (nowMs < this.#idleCheckAtMs) return;
    this.#idleCheckAtMs = nowMs + IDLE_CHECK_MS;
    for (const session of this.#ahead.keys()) {
      if (nowMs - session.usedAtMs >= IDLE_MS) this.#forget(session);
    }
  }

  #use(bytes: number): void {
    this.#usedBytes += bytes;
    this.#parts.bufferGauge.add(bytes);
  }
}
