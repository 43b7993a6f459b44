import { SESSION_TTL_MS } from '../meta/engine-context.ts';
import type { MetaSessions } from '../meta/engine.ts';
import type { SessionInfo } from '../meta/session.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Startable } from '../runtime/startable.ts';

const CALL_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;
/** Others clean up a session that has expired, and the group loses this member. */
const HEARTBEAT_MS_MAX = SESSION_TTL_MS / 3;

/** What a {@link SessionKeeper} works with. */
export interface SessionKeeperParts {
  readonly sessions: MetaSessions;
  /** Asked at each heartbeat, since addresses and weight may change. */
  readonly info: () => SessionInfo;
  /** Between heartbeats; at least three come in the time that a session lives. */
  readonly heartbeatMs: number;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Keeps this mount's session alive: it shows in `juicefs status`, and other members find us by it. */
export class SessionKeeper implements Startable {
  readonly #parts: SessionKeeperParts;
  #onBeat: (signal: AbortSignal) => Promise<void> = async () => undefined;
  #close: (sid: bigint, signal: AbortSignal) => Promise<void>;
  readonly #stopping = new AbortController();
  #sid: bigint | undefined;
  #timer: Timer | undefined;

  constructor(parts: SessionKeeperParts) {
    this.#parts = parts;
    this.#close = (sid, signal) => parts.sessions.closeSession(sid, signal);
  }

  /** The session's id, once started. */
  get sid(): bigint | undefined {
    return this.#sid;
  }

  /** @param onBeat - what is to be done at each heartbeat, too; it may fail, that is logged */
  onBeat(onBeat: (signal: AbortSignal) => Promise<void>): void {
    this.#onBeat = onBeat;
  }

  /** @param close - ends the session in place of the plain removal: what else belongs to it goes, too */
  closeBy(close: (sid: bigint, signal: AbortSignal) => Promise<void>): void {
    this.#close = close;
  }

  async start(): Promise<void> {
    this.#sid = await this.#call('new session', CALL_TIMEOUT_MS, (signal) =>
      this.#parts.sessions.openSession(this.#parts.info(), signal),
    );
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#stopping.abort();
    const sid = this.#sid;
    if (sid === undefined) return;
    const { clock, logger } = this.#parts;
    const wait = { what: 'closing the session', timeoutMs: CLOSE_TIMEOUT_MS };
    try {
      await withDeadline(clock, wait, (signal) => this.#close(sid, signal));
    } catch (error) {
      logger.warn({ sid: String(sid), error: String(error) }, 'the session stays until it expires');
    }
  }

  #schedule(): void {
    const { clock, heartbeatMs } = this.#parts;
    const delayMs = Math.min(heartbeatMs, HEARTBEAT_MS_MAX);
    this.#timer = clock.setTimer(delayMs, () => void this.#beat());
  }

  async #beat(): Promise<void> {
    try {
      await this.#call('heartbeat', CALL_TIMEOUT_MS, (signal) =>
        this.#parts.sessions.refreshSession(this.#sid as bigint, this.#parts.info(), signal),
      );
      await this.#call('heartbeat of the writer', CALL_TIMEOUT_MS, this.#onBeat);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      const help = 'Heartbeats that the metadata engine did not take';
      this.#parts.metrics.counter({ name: 'session_heartbeat_errors', help }).add();
      this.#parts.logger.warn({ error: String(error) }, 'the session could not be refreshed');
    }
    if (!this.#stopping.signal.aborted) this.#schedule();
  }

  #call<T>(what: string, timeoutMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock } = this.#parts;
    return withDeadline(clock, { what, timeoutMs, signal: this.#stopping.signal }, work);
  }
}
