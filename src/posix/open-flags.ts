/** open(2) flags, the same on all Linux architectures that matter here. @see asm-generic/fcntl.h */

/** The bits that say for what a file is opened; 0 is for reading. */
export const O_ACCMODE = 0o3;
/** O_CREAT, O_EXCL and O_NOCTTY: of no concern to a file that is there. */
export const O_CREATION_FLAGS = 0o100 | 0o200 | 0o400;
/** The content is dropped. */
export const O_TRUNC = 0o1000;
/** Writes go to the end. */
export const O_APPEND = 0o2000;
/** Past the page cache: one bit on x86, the other, which no file has here, on ARM. */
export const O_DIRECT = 0o40000 | 0o200000;
/** A write returns when its bytes are safe; O_SYNC has this bit, too. */
export const O_DSYNC = 0o10000;
/** The name must not be there yet. */
export const O_EXCL = 0o200;
