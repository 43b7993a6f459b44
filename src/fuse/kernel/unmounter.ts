import { isAbsolute } from 'node:path';
import assert from 'node:assert/strict';
import type { Clock } from '../../runtime/clock.ts';
import type { Libc } from '../../runtime/system/libc.ts';
import { fusermountUnmount } from './fusermount.ts';
import { runProgram } from './run-program.ts';

/**
 * `lazily`: the mount leaves the tree at once and ends when its last file is closed.
 * `forcibly`: the same, and the kernel aborts the FUSE connection, also where the control file
 * system is not mounted. Without root this is the same as `lazily`.
 */
export type UnmountMode = 'plainly' | 'lazily' | 'forcibly';

/** @see umount2(2) */
const MNT_FORCE = 1;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

const FLAGS: Readonly<Record<UnmountMode, number>> = {
  plainly: UMOUNT_NOFOLLOW,
  lazily: UMOUNT_NOFOLLOW | MNT_DETACH,
  forcibly: UMOUNT_NOFOLLOW | MNT_DETACH | MNT_FORCE,
};

/** @see umount(8) */
const PROGRAM_OPTIONS: Readonly<Record<UnmountMode, readonly string[]>> = {
  plainly: [],
  lazily: ['-l'],
  forcibly: ['-f', '-l'],
};

/** Unmounts by the means that this process has. */
export class Unmounter {
  readonly #libc: Libc | undefined;
  readonly #isRoot: boolean;
  readonly #clock: Clock;

  constructor(options: { libc: Libc | undefined; isRoot: boolean; clock: Clock }) {
    this.#libc = options.libc;
    this.#isRoot = options.isRoot;
    this.#clock = options.clock;
  }

  /** Whether `forcibly` aborts the connection. */
  get canForce(): boolean {
    return this.#isRoot;
  }

  /** @returns whether it was unmounted; false when it is in use, or not mounted at all */
  async unmount(mountpoint: string, mode: UnmountMode): Promise<boolean> {
    assert(isAbsolute(mountpoint));
    if (!this.#isRoot) return fusermountUnmount(mountpoint, mode !== 'plainly', this.#clock);
    if (this.#libc !== undefined) return this.unmountNow(mountpoint, mode);
    const command = ['umount', '-i', ...PROGRAM_OPTIONS[mode], '--', mountpoint];
    return (await runProgram(command, { clock: this.#clock })).exitCode === 0;
  }

  /** {@link unmount} without waiting, for a process that is about to exit; false without libc or root. */
  unmountNow(mountpoint: string, mode: UnmountMode): boolean {
    if (this.#libc === undefined || !this.#isRoot) return false;
    return this.#libc.umount2(mountpoint, FLAGS[mode]) === 0;
  }
}
