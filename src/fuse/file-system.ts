import type { FuseMutations } from './mutations.ts';
import type { FuseOperations } from './operations.ts';

/** A file system that may be writable. */
export interface FuseFileSystem extends FuseOperations {
  /**
   * Undefined on a read-only mount: drivers answer requests that would change anything with EROFS by
   * themselves. Only what {@link FuseOperations.isWritable} names can be opened for writing then.
   */
  readonly mutations: FuseMutations | undefined;
}
