import { isoTime } from '../../runtime/iso-time.ts';
import { FsError } from '../../posix/errno.ts';
import { type Ino, ROOT_INO, TRASH_INO } from '../../posix/ino.ts';

const NAME_BYTES_MAX = 255;
const SLASH = 0x2f;
const DOT = 0x2e;
const TRASH_NAME = new TextEncoder().encode('.trash');

/** Whether it is `.` or `..`. */
export function isDots(name: Uint8Array): boolean {
  return name.byteLength <= 2 && name.byteLength > 0 && name.every((byte) => byte === DOT);
}

/** Whether it is the virtual name of the trash. */
export function isTrashName(parent: Ino, name: Uint8Array): boolean {
  return parent === ROOT_INO && Buffer.compare(name, TRASH_NAME) === 0;
}

/** Whether it is the trash, or an hourly directory in it. */
export function isTrashIno(ino: Ino): boolean {
  return ino >= TRASH_INO;
}

/** Whether something with this parent lies directly in an hourly directory. */
export function isTrashed(attr: { readonly parent: Ino }): boolean {
  return attr.parent > TRASH_INO;
}

/** @throws FsError EINVAL, ENAMETOOLONG */
export function checkNewName(name: Uint8Array): void {
  if (name.byteLength > NAME_BYTES_MAX) throw new FsError('ENAMETOOLONG');
  if (name.byteLength === 0 || name.includes(0) || name.includes(SLASH)) {
    throw new FsError('EINVAL', 'a name that cannot be');
  }
}

/** A name that may be there. @throws FsError ENAMETOOLONG */
export function checkOldName(name: Uint8Array): void {
  if (name.byteLength > NAME_BYTES_MAX) throw new FsError('ENAMETOOLONG');
}

/** What a removed entry is called in the trash, cut to the longest name. */
export function trashEntryName(parent: Ino, ino: Ino, name: Uint8Array): Uint8Array {
  const whole = Buffer.concat([Buffer.from(`${parent}-${ino}-`), name]);
  // A copy: a view would take all of its memory along between threads.
  return Uint8Array.from(whole.subarray(0, NAME_BYTES_MAX));
}

/** The hourly directory for what is removed at a time: `YYYY-MM-DD-HH` in UTC. */
export function trashHourName(wallMs: number): string {
  return isoTime(wallMs).slice(0, 13).replace('T', '-');
}
