import { isAbsolute } from 'node:path';
import assert from 'node:assert/strict';
import type { Clock } from '../../runtime/clock.ts';
import type { Libc } from '../../runtime/system/libc.ts';
import { FUSERMOUNT } from './fusermount.ts';
import { runProgram, runProgramNow } from './run-program.ts';

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
    if (this.#libc !== undefined && this.#isRoot) return this.#call(this.#libc, mountpoint, mode);
    const { exitCode } = await runProgram(this.#command(mountpoint, mode), { clock: this.#clock });
    return exitCode === 0;
  }

  /** {@link unmount} without an event loop, for a process that is about to exit. */
  unmountNow(mountpoint: string, mode: UnmountMode): boolean {
    if (this.#libc !== undefined && this.#isRoot) return this.#call(this.#libc, mountpoint, mode);
    return runProgramNow(this.#command(mountpoint, mode));
  }

  #call(libc: Libc, mountpoint: string, mode: UnmountMode): boolean {
    assert(isAbsolute(mountpoint));
    return libc.umount2(mountpoint, FLAGS[mode]) === 0;
  }

  #command(mountpoint: string, mode: UnmountMode): readonly string[] {
    assert(isAbsolute(mountpoint));
    if (this.#isRoot) return ['umount', '-i', ...PROGRAM_OPTIONS[mode], '--', mountpoint];
    return [FUSERMOUNT, mode === 'plainly' ? '-u' : '-uz', '-q', '--', mountpoint];
  }
}
