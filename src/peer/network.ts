import type { Duplex } from 'node:stream';
import type { BulkTls } from './bulk-tls.ts';

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

/** An open connection. */
export interface NetworkConnection {
  readonly socket: Duplex;
  /** The other side's address without its port, as far as it is known: for limits and logs. */
  readonly remoteAddress: string;
  /** Of an encrypted connection: what only its two ends have in common. @see channelOf */
  readonly channel?: Uint8Array;
}

/** The only door to sockets. The daemon hands in the machine's, the simulator one in memory. */
export interface Network {
  /**
   * Connects; what arrives goes to `onData`, whose view is valid during the call only.
   *
   * @param options - `tls`: encrypts, and the connection then has a `channel`; `room`: asked before
   *   each read where its bytes may be put, `onData` then gets a view of that. Undefined is wherever
   *   the network likes, which may also do without asking. Never written to once the socket is
   *   destroyed.
   * @throws the system's error (with `code`, e.g. `ECONNREFUSED`); the signal's reason when aborted
   */
  connect(
    to: Endpoint,
    options: {
      readonly signal: AbortSignal;
      readonly onData: (chunk: Uint8Array) => void;
      readonly room?: () => Uint8Array | undefined;
      readonly tls?: BulkTls | undefined;
    },
  ): Promise<NetworkConnection>;
  /**
   * Listens; what arrives on a connection comes as its `data` events.
   *
   * @param options - `shared`: others of this process listen on the same port and share its
   *   connections; all of them must say so
   */
  listen(
    at: Endpoint,
    onConnection: (connection: NetworkConnection) => void,
    options?: { readonly shared: boolean },
  ): Promise<Listening>;
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
