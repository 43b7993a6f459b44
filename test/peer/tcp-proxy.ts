import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Network } from '../../src/peer/network.ts';
import { systemNetwork } from '../../src/peer/system-network.ts';

/** Somebody on the way between two nodes. */
export interface TcpProxy {
  readonly port: number;
  /** A network whose connections all go through the proxy. */
  readonly network: Network;
  close(): void;
}

/** What it does with a connection that it took: `open` connects to where it wanted to go. */
export type Relay = (taken: Socket, open: () => Promise<Socket>) => void | Promise<void>;

/** Starts a proxy on loopback. @param targetPort - where connections want to go */
export async function startTcpProxy(targetPort: () => number, relay: Relay): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket.on('error', () => undefined));
    return socket;
  };
  const open = async () => {
    const socket = keep(connect(targetPort(), '127.0.0.1'));
    await once(socket, 'connect');
    return socket;
  };
  const listener = createServer((taken) => void relay(keep(taken), open));
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  const { port } = listener.address() as AddressInfo;
  const network = systemNetwork();
  return {
    port,
    network: { ...network, connect: (to, options) => network.connect({ ...to, port }, options) },
    close: () => {
      for (const socket of sockets) socket.destroy();
      listener.close();
    },
  };
}

/** What happens to bytes on their way; `at` is the place of the first one in the connection. */
export type Tamper = (chunk: Buffer, at: number) => void;

/** Passes bytes on in both directions, changed or looked at. */
export function passOn(one: Duplex, other: Duplex, tamper: { up?: Tamper; down?: Tamper } = {}) {
  const pass = (from: Duplex, to: Duplex, change: Tamper | undefined) => {
    let at = 0;
    from.on('data', (chunk: Buffer) => {
      change?.(chunk, at);
      at += chunk.byteLength;
      to.write(chunk);
    });
    from.once('close', () => to.destroy());
  };
  pass(one, other, tamper.up);
  pass(other, one, tamper.down);
}
