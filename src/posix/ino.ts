/** An inode number: unsigned 64-bit, in a branded bigint. */
export type Ino = bigint & { readonly __brand: 'Ino' };

/** @param value - 0 … 2^64 − 1 */
export function toIno(value: bigint): Ino {
  return value as Ino;
}

/** The root of every volume. */
export const ROOT_INO: Ino = toIno(1n);
/** The trash directory; hourly directories follow it. */
export const TRASH_INO: Ino = toIno(0x7fff_ffff_1000_0000n);
/** Everything from here up is special: virtual files, the trash and its hourly directories. */
export const SPECIAL_INO: Ino = toIno(0x7fff_ffff_0000_0000n);
