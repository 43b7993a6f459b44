import type { Ino } from '../../posix/ino.ts';
import type { Clock } from '../../runtime/clock.ts';
import { WallTime } from '../wall-time.ts';
import type { DirStats, IdCounter } from '../write/meta-tx.ts';
import type { MetaTransactions, Transacted, TransactOptions } from '../write/transactions.ts';
import type { WriteArgs, WriteOp, WriteResult } from '../write/write-ops.ts';
import type { SqliteLink } from './sqlite-link.ts';

/** With more open inodes, the thread asks for those that matter. */
const OPEN_SENT_MAX = 64;

/** Has the thread run bodies, where they take the write lock one after the other. */
export class SqliteTransactions implements MetaTransactions {
  readonly #link: SqliteLink;
  readonly #wallTime: WallTime;

  constructor(link: SqliteLink, clock: Clock) {
    this.#link = link;
    this.#wallTime = new WallTime(clock);
  }

  async transact<Op extends WriteOp>(
    op: Op,
    args: WriteArgs<Op>,
    { context, open, target, signal }: TransactOptions,
  ): Promise<Transacted<WriteResult<Op>>> {
    const answers = new Map<Ino, boolean>();
    for (;;) {
      const reply = await this.#link.change({ op, target }, signal, () => ({
        op,
        args,
        context: { ...context, now: this.#wallTime.now() },
        open: {
          all: open.size > OPEN_SENT_MAX ? undefined : new Set(open.keys()),
          answers,
        },
      }));
      if ('result' in reply) return reply as Transacted<WriteResult<Op>>;
      answers.set(reply.ask, open.has(reply.ask));
    }
  }

  takeIds(counter: IdCounter, count: number, signal: AbortSignal): Promise<bigint> {
    return this.#link.run('takeIds', [counter, count], { target: counter, signal });
  }

  putDirStats(dir: Ino, stats: DirStats, signal: AbortSignal): Promise<void> {
    return this.#link.run('putDirStats', [dir, stats], { target: dir, signal });
  }

  hasDirQuotas(signal: AbortSignal): Promise<boolean> {
    return this.#link.run('hasDirQuotas', [], { target: 'volume', signal });
  }

  checkWritable(signal: AbortSignal): Promise<void> {
    return this.#link.run('checkWritable', [], { target: 'volume', signal });
  }
}
