import { join } from 'node:path';
import { type BlockKey, parseBlockId } from '../../block/block-key.ts';
import { trailerBytes } from '../../block/checksum.ts';
import { chunkPathOf } from '../../block/object-key.ts';

/*
 * <cache dir>/<volume uuid>/rawstaging/chunks/0/7/7012_3_4194304       a block that waits
 * <cache dir>/<volume uuid>/rawstaging/chunks/0/7/7012_3_4194304.tmp   one that is being written
 *
 * Place and format are JuiceFS's own: the block's plain bytes, then a CRC-32C of each 32 KiB. So what a
 * daemon of either kind leaves behind is uploaded by whichever is started next on the directory.
 */

const FOLDER = 'rawstaging';
const TEMP_SUFFIX = '.tmp';
/** `chunks`, and two folders below it. */
export const STAGE_DEPTH = 3;

/** Where the blocks lie that wait in one cache directory to be uploaded. */
export class StagePaths {
  readonly base: string;
  readonly #hashPrefix: boolean;

  /** @param directory - one of `--cache-dir` @param volume - `hashPrefix`: of its objects' names */
  constructor(directory: string, volume: { uuid: string; hashPrefix: boolean }) {
    this.base = join(directory, volume.uuid, FOLDER);
    this.#hashPrefix = volume.hashPrefix;
  }

  file(key: BlockKey): string {
    return join(this.base, chunkPathOf(this.#hashPrefix, key));
  }

  temp(key: BlockKey): string {
    return `${this.file(key)}${TEMP_SUFFIX}`;
  }

  /** What a file below {@link base} is. @param path - from the base on, with slashes */
  parse(path: string): { kind: 'block'; key: BlockKey } | { kind: 'temp' | 'other' } {
    if (path.endsWith(TEMP_SUFFIX)) return { kind: 'temp' };
    const key = parseBlockId(path.slice(path.lastIndexOf('/') + 1));
    const isRight = key !== undefined && chunkPathOf(this.#hashPrefix, key) === path;
    return isRight ? { kind: 'block', key } : { kind: 'other' };
  }
}

/**
 * Whether a staged file of this length has checksums behind the block's bytes.
 *
 * @returns undefined when no whole block has this length
 */
export function hasTrailer(key: BlockKey, fileBytes: number): boolean | undefined {
  if (fileBytes === key.sizeBytes) return false;
  return fileBytes === key.sizeBytes + trailerBytes(key.sizeBytes) ? true : undefined;
}
