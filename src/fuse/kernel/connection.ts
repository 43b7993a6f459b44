import { writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { mountedAt } from './mount-table.ts';

/**
 * The kernel's control files of one FUSE mount.
 *
 * @see Documentation/filesystems/fuse/fuse.rst, "Control filesystem"
 */
export class FuseConnection {
  readonly #device: string;
  readonly #mountpoint: string;

  /** @param device - `major:minor` of the mount */
  constructor(device: string, mountpoint: string) {
    this.#device = device;
    this.#mountpoint = mountpoint;
  }

  /** Whether it is this mount that is seen at the mountpoint, and not another one or none. */
  isMounted(): boolean {
    return mountedAt(this.#mountpoint)?.device === this.#device;
  }

  /**
   * Ends the connection: everyone who waits for an answer gets ENOTCONN, reads of the device
   * return ENODEV.
   *
   * @returns whether it could be done; it cannot where the control file system is not mounted
   */
  abort(): boolean {
    const minor = this.#device.split(':')[1];
    try {
      writeFileSync(`/sys/fs/fuse/connections/${minor}/abort`, '1');
      return true;
    } catch {
      // The connection has ended by itself, or these files are not there: the caller is told.
      return false;
    }
  }

  /** Lets the kernel read ahead that far. @returns whether it could be set, which takes root */
  async setReadAhead(kibibytes: number): Promise<boolean> {
    try {
      await writeFile(`/sys/class/bdi/${this.#device}/read_ahead_kb`, String(kibibytes));
      return true;
    } catch {
      return false;
    }
  }
}
