/**
 * Versions of what members say to each other after their proof, both ends included:
 *
 * - 1 had no proof and is spoken no more, so nobody can go around the proof by claiming it;
 * - 2 is the same frames after a proof (the control channel always speaks this one);
 * - 3 gives each request a number that its answer carries.
 */
export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** What this release speaks. */
export const SPOKEN_VERSIONS: VersionRange = { min: 2, max: 3 };

/** @returns the highest version of both ranges, or undefined when they have none in common */
export function highestCommon(one: VersionRange, other: VersionRange): number | undefined {
  const version = Math.min(one.max, other.max);
  return version >= Math.max(one.min, other.min) ? version : undefined;
}

/** A range as it stands in messages to people: `2` or `2 to 3`. */
export function printRange({ min, max }: VersionRange): string {
  return min === max ? `${min}` : `${min} to ${max}`;
}
