import type { Clock } from '../../runtime/clock.ts';
import { GetConnection, type GetPlace } from './get-connection.ts';

/** What a socket reads at once when it is not known yet where the bytes go. */
const SCRATCH_BYTES = 64 * 1024;

/** Connections to one server, kept for the next request. */
export class GetConnections {
  readonly #options: { readonly place: GetPlace; readonly clock: Clock; readonly max: number };
  readonly #open = new Set<GetConnection>();
  /** The one that was used last is used next: the others are closed by the server in time. */
  readonly #idle: GetConnection[] = [];
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #isClosed = false;

  /** @param options - `max`: connections at once */
  constructor(options: { place: GetPlace; clock: Clock; max: number }) {
    this.#options = options;
  }

  /** One that is free; undefined when there are as many as there may be, or all are closed. */
  take(): GetConnection | undefined {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const { place, clock, max } = this.#options;
    if (this.#isClosed || this.#open.size >= max) return undefined;
    const connection = new GetConnection({
      place,
      clock,
      scratch: this.#scratch,
      onIdle: (free) => void this.#idle.push(free),
      onClosed: (closed) => this.#onClosed(closed),
    });
    this.#open.add(connection);
    return connection;
  }

  /** Ends all of them. */
  close(): void {
    this.#isClosed = true;
    for (const connection of this.#open) connection.close(new Error('the store is closed'));
  }

  #onClosed(connection: GetConnection): void {
    this.#open.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
  }
}
