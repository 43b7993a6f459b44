import type { Duplex } from 'node:stream';
import type { Clock } from '../runtime/clock.ts';

/** Time for last words to leave. */
const LINGER_MS = 2000;

/** Closes a socket; with last words it first gives them up to 2 s to leave. */
export function hangUp(socket: Duplex, clock: Clock, lastWords?: Uint8Array): void {
  if (lastWords === undefined || socket.destroyed) {
    socket.destroy();
    return;
  }
  const timer = clock.setTimer(LINGER_MS, () => socket.destroy());
  socket.once('close', () => timer.cancel());
  socket.once('finish', () => socket.destroy());
  // What the other side still sends must not keep its end of the connection from being seen.
  socket.resume();
  socket.end(lastWords);
}
