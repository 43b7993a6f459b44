import { OPCODES, type OpcodeName } from '../wire/opcodes.ts';

/** What becomes of a request when a signal comes to the program that waits for it. */
export interface InterruptManners {
  /** So long the operation goes on as if nothing had happened. */
  readonly patienceMs: number;
  /** Whether it may be answered with EINTR before the operation has ended. */
  readonly mayBeAbandoned: boolean;
}

/**
 * A program with a timer gets signals all the time, and no local file system answers a change with
 * EINTR. A killed one waits that long for a metadata server or an object store that is away.
 */
const CHANGE_PATIENCE_MS = 3000;

const READING: InterruptManners = { patienceMs: 0, mayBeAbandoned: true };
/** EINTR says that nothing was changed: what was sent is answered when its outcome is known. */
const CHANGING: InterruptManners = { patienceMs: CHANGE_PATIENCE_MS, mayBeAbandoned: false };
/** Waiting for a lock is what signals are meant to end; one that was got must not be told as not got. */
const LOCKING: InterruptManners = { patienceMs: 0, mayBeAbandoned: false };

/**
 * How requests of a type are interrupted. Each change has a deadline of its own in the layers below,
 * so none of them keeps its caller for ever.
 */
export function interruptManners(name: OpcodeName): InterruptManners {
  const { kind } = OPCODES[name];
  if (name === 'setlkw') return LOCKING;
  const changes = kind === 'write' || kind === 'sync' || kind === 'local' || name === 'write';
  return changes ? CHANGING : READING;
}
