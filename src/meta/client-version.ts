/** The client release that we behave like: volumes gate clients by this number. */
export const CLIENT_VERSION = '1.4.1';

/** `major.minor.patch[-preRelease]`. */
export interface ClientVersion {
  readonly major: bigint;
  readonly minor: bigint;
  readonly patch: bigint;
  /** Empty for a release. */
  readonly preRelease: string;
}

/** Three numbers of 64 bits at most are all that versions are made of. */
const PARTS_MAX = 3;
const PART = /^[0-9]{1,20}$/;

/**
 * Reads a version as volumes write it. What follows the first `+` does not matter; missing parts
 * are 0.
 *
 * @returns undefined when it is not a version
 */
export function parseClientVersion(text: string): ClientVersion | undefined {
  const [withoutBuild = ''] = text.split('+', 1);
  const dash = withoutBuild.indexOf('-');
  const numbers = dash > 0 ? withoutBuild.slice(0, dash) : withoutBuild;
  const parts = numbers.split('.');
  if (parts.length > PARTS_MAX || !parts.every((part) => PART.test(part))) return undefined;
  const [major = 0n, minor = 0n, patch = 0n] = parts.map((part) => BigInt(part));
  return { major, minor, patch, preRelease: dash > 0 ? withoutBuild.slice(dash + 1) : '' };
}

/**
 * Negative, 0 or positive as `a` is older, equal or newer. Pre-releases compare as bytes, and any
 * of them is older than the release: `1.1.0-A` < `1.1.0-beta1` < `1.1.0`.
 */
export function compareClientVersions(a: ClientVersion, b: ClientVersion): number {
  for (const part of ['major', 'minor', 'patch'] as const) {
    if (a[part] !== b[part]) return a[part] < b[part] ? -1 : 1;
  }
  if (a.preRelease === b.preRelease) return 0;
  if (a.preRelease === '') return 1;
  if (b.preRelease === '') return -1;
  return Buffer.compare(Buffer.from(a.preRelease), Buffer.from(b.preRelease));
}
