import { join } from 'node:path';
import { type BlockKey, parseBlockId } from '../../block/block-key.ts';
import { trailerBytes } from '../../block/checksum.ts';
import { chunkPathOf } from '../../block/object-key.ts';

/*
 * <cache dir>/<volume uuid>/rawstaging/chunks/0/7/7012_3_4194304       a block that waits
 * <cache dir>/<volume uuid>/rawstaging/chunks/0/7/7012_3_4194304.tmp   one that is being written
 *
 * Place and format are JuiceFS's own: the block's plain bytes, then a CRC-32C of each 32 KiB (stock
 * clients can be told to leave those out). Of a file with a storage tier, stock clients append a footer
 * that names it: magic and length, two bytes each, big-endian, then so many bytes, padded so that the
 * file's length tells whether there are checksums. We write none and upload such a block without a tier.
 * So what a daemon of either kind leaves behind is uploaded by whichever is started next on the directory.
 */

const FOLDER = 'rawstaging';
const TEMP_SUFFIX = '.tmp';
const FOOTER_MAGIC = 0x4653;
/** Magic and length of a footer. */
export const FOOTER_HEAD_BYTES = 4;
/** Footers have about 20 bytes. */
const FOOTER_BYTES_MAX = 1024;
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

/** What follows the block's bytes in a staged file. */
export interface StageEnd {
  readonly hasChecksums: boolean;
  /** Length of the footer behind them; 0: there is none. */
  readonly footerBytes: number;
}

/**
 * How a staged file of this length ends.
 *
 * @returns undefined when no whole block has this length
 */
export function stageEndOf(key: BlockKey, fileBytes: number): StageEnd | undefined {
  const extraBytes = fileBytes - key.sizeBytes;
  if (extraBytes === 0) return { hasChecksums: false, footerBytes: 0 };
  const hasChecksums = extraBytes % 4 === 0;
  const footerBytes = hasChecksums ? extraBytes - trailerBytes(key.sizeBytes) : extraBytes;
  const isFooter = footerBytes > FOOTER_HEAD_BYTES && footerBytes <= FOOTER_BYTES_MAX;
  return footerBytes === 0 || isFooter ? { hasChecksums, footerBytes } : undefined;
}

/** Whether the first {@link FOOTER_HEAD_BYTES} bytes of a footer are those of one of this length. */
export function isFooterHead(head: Uint8Array, footerBytes: number): boolean {
  if (head.byteLength !== FOOTER_HEAD_BYTES) return false;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const lengthBytes = view.getUint16(2);
  return view.getUint16(0) === FOOTER_MAGIC && lengthBytes === footerBytes - FOOTER_HEAD_BYTES;
}
