import { join } from 'node:path';
import type { BlockId } from '../block/block-key.ts';
import { parseBlockId } from '../block/block-key.ts';
import { decodeTrailer, encodeTrailer, unitCount } from '../block/checksum.ts';
import { hashText } from './block-hash.ts';

/*
 * <cache dir>/<volume uuid>/cachemesh/id           names the directory, for spreading blocks
 * <cache dir>/<volume uuid>/cachemesh/tmp/…        files that are being written
 * <cache dir>/<volume uuid>/cachemesh/blocks/7f/…  256 folders by hash, so that none gets too long
 *
 * A block's file holds exactly the block's bytes. Its checksums (CRC-32C per 32 KiB) are
 *
 * - in the file's own name when they are few: one file, one inode and one rename per block, and a
 *   scan by readdir knows them without opening anything. A second file per block would double the
 *   inodes and take 4 KiB each, and writing 60 KB samples would take twice the metadata operations;
 *   an extended attribute is not to be had on every file system, nor from Node.
 * - in a second file, `<block>.crc`, when a name cannot hold them: for blocks above 512 KiB, where
 *   an inode and a page of 4 KiB are below 1 %. It is renamed into its place before the block is.
 *
 * Nothing is synced to the disk. After a crash a file may be missing, short or full of zeros: a
 * block is served only when its length and checksums are right, and zeros have other checksums.
 */

/** So many checksums (16 → 86 characters) leave names below 143 bytes, which encrypting file systems need. */
const UNITS_IN_NAME_MAX = 16;
const SUMS_SUFFIX = 'crc';

/** How many folders the blocks of a directory are spread over. */
export const FAN_OUT = 256;

/** The mode of folders for files of a mode: who may read files may enter their folders. */
export function folderModeOf(fileMode: number): number {
  return fileMode | ((fileMode & 0o444) >> 2);
}

/** What a file's name says. */
export interface CacheName {
  readonly id: BlockId;
  readonly sizeBytes: number;
  /** The block itself, or its checksums. */
  readonly kind: 'block' | 'sums';
  /** The checksums' text in a block's name; empty when they are in a second file. */
  readonly sumsText: string;
}

/** Which of the {@link FAN_OUT} folders a block lies in. */
export function folderOf(id: BlockId): number {
  return hashText(id) % FAN_OUT;
}

/** The folder's name: two hexadecimal digits. */
export function folderName(folder: number): string {
  return folder.toString(16).padStart(2, '0');
}

/** Whether a block of this size has its checksums in a second file. */
export function hasSumsFile(sizeBytes: number): boolean {
  return unitCount(sizeBytes) > UNITS_IN_NAME_MAX;
}

/** Checksums as they stand in a block's name; empty when they are too many. */
export function sumsTextOf(sums: Uint32Array): string {
  if (sums.length > UNITS_IN_NAME_MAX) return '';
  return Buffer.from(encodeTrailer(sums)).toString('base64url');
}

/** Name of the block's file. */
export function blockFileName(id: BlockId, sumsText: string): string {
  return sumsText === '' ? id : `${id}.${sumsText}`;
}

/** Name of the file of its checksums. */
export function sumsFileName(id: BlockId): string {
  return `${id}.${SUMS_SUFFIX}`;
}

/** @returns undefined when the name is none of ours */
export function parseCacheName(name: string): CacheName | undefined {
  const dot = name.indexOf('.');
  const key = parseBlockId(dot === -1 ? name : name.slice(0, dot));
  if (key === undefined) return undefined;
  const id = (dot === -1 ? name : name.slice(0, dot)) as BlockId;
  const { sizeBytes } = key;
  const suffix = dot === -1 ? '' : name.slice(dot + 1);
  if (hasSumsFile(sizeBytes)) {
    if (suffix === '') return { id, sizeBytes, kind: 'block', sumsText: '' };
    return suffix === SUMS_SUFFIX ? { id, sizeBytes, kind: 'sums', sumsText: '' } : undefined;
  }
  if (decodeSumsText(suffix, sizeBytes) === undefined) return undefined;
  return { id, sizeBytes, kind: 'block', sumsText: suffix };
}

/** @returns the checksums in a block's name; undefined when they are not those of such a size */
export function decodeSumsText(text: string, sizeBytes: number): Uint32Array | undefined {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) return undefined;
  const sums = decodeTrailer(bytes);
  return sums?.length === unitCount(sizeBytes) ? sums : undefined;
}

/** Paths below one cache directory of one volume. */
export class CachePaths {
  readonly base: string;
  readonly id: string;
  readonly temp: string;
  readonly blocks: string;

  /** @param directory - one of `--cache-dir` */
  constructor(directory: string, volumeUuid: string) {
    this.base = join(directory, volumeUuid, 'cachemesh');
    this.id = join(this.base, 'id');
    this.temp = join(this.base, 'tmp');
    this.blocks = join(this.base, 'blocks');
  }

  folder(folder: number): string {
    return join(this.blocks, folderName(folder));
  }

  block(id: BlockId, sumsText: string): string {
    return join(this.folder(folderOf(id)), blockFileName(id, sumsText));
  }

  sums(id: BlockId): string {
    return join(this.folder(folderOf(id)), sumsFileName(id));
  }
}
