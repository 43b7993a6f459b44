import type { Duplex } from 'node:stream';

/** Where something listens. */
export interface Endpoint {
  /** A name or an address; `0.0.0.0` or `::` listens on all interfaces. */
  readonly host: string;
  /** 0 lets the system choose when listening. */
  readonly port: number;
}

/** An open listener. */
export interface Listening {
  /** The port that it got. */
  readonly port: number;
  /** Takes no more connections; those that exist stay. */
  close(): Promise<void>;
}

/** The only door to sockets. The daemon hands in the machine's, the simulator one in memory. */
export interface Network {
  /**
   * Connects; what arrives goes to `onData`, whose view is valid during the call only.
   *
   * @throws the system's error (with `code`, e.g. `ECONNREFUSED`); the signal's reason when aborted
   */
  connect(
    to: Endpoint,
    options: { signal: AbortSignal; onData: (chunk: Uint8Array) => void },
  ): Promise<Duplex>;
  /** Listens; what arrives on a connection comes as its `data` events. */
  listen(at: Endpoint, onConnection: (socket: Duplex) => void): Promise<Listening>;
  /** Addresses of this machine's interfaces that are up, loopback included. */
  interfaces(): readonly InterfaceAddress[];
}

/** An address of this machine. */
export interface InterfaceAddress {
  readonly address: string;
  readonly family: 4 | 6;
  /** Loopback: other machines cannot use it. */
  readonly internal: boolean;
}
