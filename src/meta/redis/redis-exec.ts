import type { Redis } from 'ioredis';
import { FsError } from '../../posix/errno.ts';
import { MetaError } from '../engine.ts';
import { isErrorReply, toMetaError } from './redis-errors.ts';
import type { QueuedCommand } from './redis-tx.ts';

/** Somebody changed what the transaction watched: nothing was done. */
export class TxConflict extends MetaError {}

/**
 * Sends MULTI, the commands and EXEC in one write.
 *
 * @throws TxConflict; FsError ENOSPC when the server is out of memory; MetaError `outcome-unknown`
 *   when the connection was lost meanwhile
 */
export async function execute(client: Redis, queued: readonly QueuedCommand[]): Promise<void> {
  if (client.status !== 'ready') {
    throw new MetaError('unavailable', 'Redis: the connection was lost', { retryable: true });
  }
  // The library knows its commands by their names in lower case.
  const commands = queued.map(({ words: [name, ...rest] }) => [
    String(name).toLowerCase(),
    ...rest,
  ]);
  let replies: [error: Error | null, reply: unknown][] | null;
  try {
    replies = await client.multi(commands).exec();
  } catch (error) {
    throw refusal(error);
  }
  if (replies === null) throw new TxConflict('unavailable', 'a watched key has changed');
  replies.forEach(([error, reply], index) => {
    if (error !== null) throw toMetaError(error);
    queued[index]?.told?.(Number(reply));
  });
}

function refusal(error: unknown): Error {
  if (!isErrorReply(error)) {
    const message = 'Redis: the connection was lost while a change was made';
    return new MetaError('outcome-unknown', message, { cause: error });
  }
  const { previousErrors } = error as Error & { previousErrors?: readonly Error[] };
  const first = previousErrors?.[0] ?? error;
  if (first.message.startsWith('OOM')) {
    return new FsError('ENOSPC', 'Redis is out of memory', { cause: error });
  }
  return toMetaError(first);
}
