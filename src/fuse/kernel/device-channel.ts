import { writeSync, writevSync } from 'node:fs';
import { Errno } from '../../posix/errno.ts';
import type { ReplyChannel } from './answer.ts';
import { errnoOf } from './errno-of.ts';

/** Replies of the main thread, written to the device. */
export class DeviceChannel implements ReplyChannel {
  #fd: number | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  send(parts: readonly Uint8Array[]): number {
    if (this.#fd === undefined) return Errno.ENODEV;
    try {
      if (parts.length === 1) writeSync(this.#fd, parts[0] as Uint8Array);
      else writevSync(this.#fd, parts);
      return 0;
    } catch (error) {
      return errnoOf(error);
    }
  }

  /** The descriptor is about to be closed: its number may soon be another file. */
  close(): void {
    this.#fd = undefined;
  }
}
