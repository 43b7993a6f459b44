import type { Duplex } from 'node:stream';
import type { Network } from '../../src/peer/network.ts';
import { systemNetwork } from '../../src/peer/system-network.ts';

/** What happens to the bytes of connections that a node opens. */
export interface Tampering {
  /** May change what the node receives; `at` is the place of the first byte in the connection. */
  readonly incoming?: (chunk: Uint8Array, at: number) => void;
  /** May change what the node sends. */
  readonly outgoing?: (chunk: Uint8Array, at: number) => void;
}

/** The machine's network with something in the wire. */
export function wrappedNetwork(tampering: Tampering): Network {
  const network = systemNetwork();
  return {
    ...network,
    async connect(to, options) {
      let received = 0;
      const connection = await network.connect(to, {
        ...options,
        onData: (chunk) => {
          tampering.incoming?.(chunk, received);
          received += chunk.byteLength;
          options.onData(chunk);
        },
      });
      return { ...connection, socket: tamperWrites(connection.socket, tampering.outgoing) };
    },
  };
}

function tamperWrites(socket: Duplex, outgoing: Tampering['outgoing']): Duplex {
  let sent = 0;
  const write = socket.write.bind(socket) as (chunk: Uint8Array) => boolean;
  socket.write = ((chunk: Uint8Array) => {
    const copy = Uint8Array.from(chunk);
    outgoing?.(copy, sent);
    sent += copy.byteLength;
    return write(copy);
  }) as typeof socket.write;
  return socket;
}
