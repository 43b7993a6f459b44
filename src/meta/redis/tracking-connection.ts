import { Redis } from 'ioredis';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { abortReason, withDeadline } from '../../runtime/deadline.ts';
import { type ChangeListener, CHANGES_SILENCE_MAX_MS } from '../change-stream.ts';
import type { EngineContext } from '../engine-context.ts';
import { MetaError } from '../engine.ts';
import { MessageRate } from './message-rate.ts';
import { createRedisClient, type RedisClient } from './redis-connect.ts';
import type { RedisKeys } from './redis-keys.ts';
import type { RedisUrl } from './redis-url.ts';
import { changesOf, trackedPrefixes } from './tracked-keys.ts';

/** Where the server tells of keys to clients that speak RESP2. */
const CHANNEL = '__redis__:invalidate';
const PING_EVERY_MS = 250;
const LOOK_EVERY_MS = 50;
/** A job that starts brings hundreds of mounts within seconds. */
const COUNT_EVERY_MS = 10_000;
/** So old a last proof may get: by the next look and the end of the connection it is older. */
const PROOF_AGE_MAX_MS = CHANGES_SILENCE_MAX_MS - 2 * LOOK_EVERY_MS;

/** What is connected to, and whose keys are tracked. */
export interface TrackingOptions {
  readonly url: RedisUrl;
  readonly password: string;
  readonly keys: RedisKeys;
  readonly context: EngineContext;
  /** How many mounts may listen as we do. */
  readonly countMounts: (signal: AbortSignal) => Promise<number>;
  /** An established connection on which nothing comes for so long is given up; connecting takes no longer. */
  readonly silenceMaxMs: number;
}

/** So many changes are made that listening to them costs more than it spares. */
export class BusyError extends MetaError {}

/**
 * One connection that hears of changes until it is lost. It asks for the names of keys to be sent to
 * itself, so that there is no other one which could be lost alone.
 *
 * The server sends everything on it in order: the answer to a PING says that all keys were told whose
 * change was confirmed before the PING was sent. (It tells of keys before it answers those who wrote them.)
 */
export class TrackingConnection {
  readonly #options: TrackingOptions;
  readonly #listener: ChangeListener;
  readonly #clock: Clock;
  readonly #rate = new MessageRate();
  readonly #ending = new AbortController();
  #countAtMs = Number.NEGATIVE_INFINITY;
  readonly #ended = Promise.withResolvers<Error>();
  #timer: Timer | undefined;
  #provenAtMs = 0;
  #pingedAtMs = 0;
  /** When the next look is due. */
  #lookAtMs = Number.POSITIVE_INFINITY;
  /** By how much looks came late, in all: we did not get to run, and the server's words wait to be read. */
  #stalledMs = 0;
  /** What that was when the last proof was asked for. */
  #provenStalledMs = 0;
  #isOver = false;

  constructor(options: TrackingOptions, listener: ChangeListener) {
    this.#options = options;
    this.#listener = listener;
    this.#clock = options.context.clock;
  }

  /** @returns why it ended. The listener hears nothing more then. */
  async run(signal: AbortSignal): Promise<Error> {
    const { url, password, silenceMaxMs } = this.#options;
    const client = createRedisClient(url, {
      ...{ password, sentinelPassword: '', silenceMaxMs },
      reconnectDelayMs: () => undefined,
    });
    const onAbort = () => this.#end(abortReason(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    // What went wrong comes before the close that follows.
    client.on('error', (error: Error) => this.#end(error));
    client.on('close', () =>
      this.#end(new MetaError('unavailable', 'Redis: the connection ended')),
    );
    client.on('messageBuffer', (_channel: Buffer, keys: unknown) => this.#onKeys(keys));
    try {
      const wait = { what: 'listening to changes', timeoutMs: silenceMaxMs, signal };
      const begun = withDeadline(this.#clock, wait, () => this.#begin(client));
      begun.catch((error: unknown) => this.#end(error as Error));
      return await this.#ended.promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      client.disconnect();
    }
  }

  async #begin(client: RedisClient): Promise<void> {
    await client.connect();
    if (!(client instanceof Redis))
      throw new MetaError('refused', 'Redis: changes need one server');
    const id = String(await client.call('CLIENT', 'ID'));
    const prefixes = trackedPrefixes(this.#options.keys).flatMap((prefix) => ['PREFIX', prefix]);
    await client.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', id, 'BCAST', ...prefixes);
    await client.subscribe(CHANNEL);
    const atMs = this.#clock.nowMs();
    await client.ping();
    this.#onPong(atMs, 0);
    this.#look(client);
  }

  #onPong(atMs: number, stalledMs: number): void {
    if (this.#isOver) return;
    this.#provenAtMs = atMs;
    this.#provenStalledMs = stalledMs;
    this.#listener.proven(this.#provenAtMs);
  }

  /** Asks for proofs, and looks whether they come. */
  #look(client: Redis): void {
    if (this.#isOver) return;
    const nowMs = this.#clock.nowMs();
    this.#stalledMs += Math.max(0, nowMs - this.#lookAtMs);
    const stalledMs = this.#stalledMs;
    if (nowMs - this.#provenAtMs - (stalledMs - this.#provenStalledMs) > PROOF_AGE_MAX_MS) {
      this.#end(new MetaError('unavailable', 'Redis: no answer on the connection for changes'));
      return;
    }
    if (nowMs >= this.#countAtMs) this.#countMounts(nowMs);
    if (nowMs - this.#pingedAtMs >= PING_EVERY_MS) {
      this.#pingedAtMs = nowMs;
      client.ping().then(
        () => this.#onPong(nowMs, stalledMs),
        (error: unknown) => this.#end(error as Error),
      );
    }
    this.#lookAtMs = nowMs + LOOK_EVERY_MS;
    this.#timer = this.#clock.setTimer(LOOK_EVERY_MS, () => this.#look(client));
  }

  /** On another connection: this one may not ask for anything. */
  #countMounts(nowMs: number): void {
    this.#countAtMs = nowMs + COUNT_EVERY_MS;
    this.#options.countMounts(this.#ending.signal).then(
      (mounts) => this.#rate.setMounts(mounts),
      (error: unknown) => {
        const { logger } = this.#options.context;
        if (!this.#isOver) logger.debug({ err: error }, 'sessions were not counted');
      },
    );
  }

  /** @param keys - null: all of them, the database was emptied */
  #onKeys(keys: unknown): void {
    if (this.#isOver) return;
    if (Array.isArray(keys)) this.#listener.changed(changesOf(keys, this.#options.keys));
    else this.#listener.lost();
    if (!this.#rate.note(this.#clock.nowMs())) return;
    this.#end(new BusyError('unavailable', 'Redis: too many changes to listen to'));
  }

  #end(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    this.#ending.abort(error);
    this.#ended.resolve(error);
  }
}
