import { readFile } from 'node:fs/promises';

/** What the mount tells libfuse and the kernel. */
export interface NativeMountOptions {
  /** What `df` shows as the file system. */
  readonly sourceName: string;
  /** Users other than the one who mounts may use the mount. */
  readonly allowOther: boolean;
  /** How long the kernel believes names and attributes. */
  readonly entryTimeoutMs: number;
  readonly attrTimeoutMs: number;
}

/** The package copies options into 1,024 bytes and cuts what is longer. @see fuse-native.c */
export const OPTIONS_BYTES_MAX = 1023;

/**
 * libfuse 2's `-o` argument. Read-only, so that the kernel itself refuses what would change
 * something; with our inode numbers; permissions are checked by the kernel, because the package
 * does not say who asks.
 */
export function mountArgument(options: NativeMountOptions): string {
  return `-o${[
    `fsname=${options.sourceName.replaceAll(/[\\,]/g, String.raw`\$&`)}`,
    'subtype=cachemesh',
    ...(options.allowOther ? ['allow_other'] : []),
    ...['ro', 'default_permissions', 'use_ino'],
    `entry_timeout=${options.entryTimeoutMs / 1000}`,
    `attr_timeout=${options.attrTimeoutMs / 1000}`,
  ].join(',')}`;
}

/**
 * Whether fusermount would let this user mount with `allow_other`: root always may, others when the
 * machine's configuration says so.
 */
export async function mayAllowOther(uid: number, configPath = '/etc/fuse.conf'): Promise<boolean> {
  if (uid === 0) return true;
  try {
    return /^\s*user_allow_other\s*$/m.test(await readFile(configPath, 'utf8'));
  } catch {
    // Without the file, or without the right to read it, fusermount refuses.
    return false;
  }
}
