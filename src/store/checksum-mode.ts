/**
 * Values of `--verify-cache-checksum`. `once` (default): a block is checked as a whole before it is
 * read unchecked, once per life of the daemon. JuiceFS's: `full`: as a whole each time that it is
 * opened; `shrink`: at each read the units of 32 KiB that it covers as a whole; `extend`: all units
 * that it touches; `none`: never.
 */
export const CHECKSUM_MODES = ['once', 'full', 'shrink', 'extend', 'none'] as const;

/** One of {@link CHECKSUM_MODES}. */
export type ChecksumMode = (typeof CHECKSUM_MODES)[number];
