import type { Clock } from '../runtime/clock.ts';
import { settlesWithin } from '../runtime/deadline.ts';
import { linkAbort } from '../runtime/linked-abort.ts';
import type { BlockBytes } from './loader.ts';

/** What {@link raceDisk} needs besides the disk. */
export interface DiskRace {
  readonly clock: Clock;
  readonly lateMs: number;
  /** Ends the race, and what it asks. */
  readonly signal: AbortSignal;
  /** The disk is late. */
  onLate(): void;
  /** Gets the bytes from somewhere else. */
  beyond(signal: AbortSignal): Promise<BlockBytes>;
}

/**
 * Waits for bytes from the disk, and asks elsewhere when it does not have them. A disk that is late
 * is not waited for any longer, and not given up either: what comes first is taken.
 *
 * @param disk - undefined when the disk cannot give them; rejects when the signal is aborted only
 */
export async function raceDisk(
  disk: Promise<BlockBytes | undefined>,
  race: DiskRace,
): Promise<BlockBytes> {
  const { signal } = race;
  if (await isInTime(disk, race)) return (await disk) ?? (await race.beyond(signal));
  race.onLate();
  const abort = linkAbort(signal);
  const other = race.beyond(abort.signal);
  try {
    const { from, bytes } = await firstOf(disk, other);
    if (from === 'disk') abort.abort(new Error('the disk was faster'));
    release(from === 'disk' ? other : disk);
    return bytes;
  } finally {
    abort.unlink();
  }
}

/** Whether the disk has answered within `lateMs`; without end it is waited for. Does not reject. */
export async function isInTime(
  disk: Promise<unknown>,
  { clock, lateMs }: Pick<DiskRace, 'clock' | 'lateMs'>,
): Promise<boolean> {
  return lateMs === Number.POSITIVE_INFINITY || (await settlesWithin(disk, clock, lateMs));
}

/** Gives back what nobody waits for any more, when it comes. */
export function release(late: Promise<BlockBytes | undefined>): void {
  late.then((bytes) => bytes?.release()).catch(() => undefined);
}

interface Winner {
  readonly from: 'disk' | 'other';
  readonly bytes: BlockBytes;
}

/** @throws what the other one failed with when the disk does not have the bytes either */
async function firstOf(
  disk: Promise<BlockBytes | undefined>,
  other: Promise<BlockBytes>,
): Promise<Winner> {
  const fromOther = other.then((bytes): Winner => ({ from: 'other', bytes }));
  const fromDisk = disk.then((bytes): Winner => {
    if (bytes === undefined) throw new Error('not on the disk');
    return { from: 'disk', bytes };
  });
  return await Promise.any([fromOther, fromDisk]).catch(() => fromOther);
}
