import type { Ino } from '../../posix/ino.ts';
import { TRASH_INO } from '../../posix/ino.ts';
import type { Clock } from '../../runtime/clock.ts';
import { isTrashIno, trashHourName } from './entry-name.ts';
import type { WriteRunner } from './write-runner.ts';

/** Finds the hourly directory of the trash, which it asks for once an hour. */
export class TrashHours {
  readonly #runner: WriteRunner;
  readonly #clock: Clock;
  #known: { readonly name: string; readonly ino: Ino } | undefined;

  constructor(runner: WriteRunner, clock: Clock) {
    this.#runner = runner;
    this.#clock = clock;
  }

  /**
   * Where what is removed from `parent` goes now.
   *
   * @returns undefined when it is gone for good
   * @throws FsError ENOENT when the volume should have a trash and has none; MetaError
   */
  async dirFor(parent: Ino, signal: AbortSignal): Promise<Ino | undefined> {
    if (isTrashIno(parent) || this.#runner.rules.trashDays === 0) return undefined;
    const name = trashHourName(this.#clock.wallMs());
    if (this.#known?.name === name) return this.#known.ino;
    const args = { name: new TextEncoder().encode(name) };
    const ino = await this.#runner.run('makeTrashDir', args, { turns: [TRASH_INO], signal });
    this.#known = { name, ino };
    return ino;
  }
}
