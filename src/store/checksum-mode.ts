/**
 * Values of `--verify-cache-checksum`. `once` (default): a block is checked as a whole before it is
 * read unchecked, and from then on again now and then (disk-scrub.ts). JuiceFS's: `full`: as a whole each time that it is
 * opened; `shrink`: at each read the units of 32 KiB that it covers as a whole; `extend`: all units
 * that it touches; `none`: never.
 */
export const CHECKSUM_MODES = ['once', 'full', 'shrink', 'extend', 'none'] as const;

/** One of {@link CHECKSUM_MODES}. */
export type ChecksumMode = (typeof CHECKSUM_MODES)[number];

/**
 * Which units of 32 KiB a read compares with their checksums: none, those that it covers as a
 * whole, or all that it touches (it then reads them as a whole).
 */
export type UnitCheck = 'none' | 'covered' | 'touched';

/**
 * What a mode wants checked when a part of a block is read.
 *
 * @param isVerified - the block was checked as a whole in this life of the daemon
 */
export function unitCheckOf(mode: ChecksumMode, isVerified: boolean): UnitCheck {
  switch (mode) {
    case 'once':
      return isVerified ? 'none' : 'touched';
    case 'extend':
      return 'touched';
    case 'shrink':
      return 'covered';
    case 'full':
    case 'none':
      return 'none';
  }
}
