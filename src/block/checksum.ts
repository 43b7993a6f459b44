import { crc32c } from '@node-rs/crc32';
import { CHECKSUM_UNIT_BYTES } from './geometry.ts';

const CHECKSUM_BYTES = 4;

/**
 * CRC-32C (Castagnoli), as JuiceFS and iSCSI have it.
 *
 * @param before - the checksum of the bytes that precede these; 0 when there are none
 * @returns an unsigned 32-bit number
 */
export function crc32cOf(bytes: Uint8Array, before = 0): number {
  return crc32c(bytes, before);
}

/** How many units of 32 KiB `sizeBytes` bytes take; the last one may be short. */
export function unitCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / CHECKSUM_UNIT_BYTES);
}

/** Where the unit begins in which a byte lies. */
export function unitStart(offset: number): number {
  return offset - (offset % CHECKSUM_UNIT_BYTES);
}

/** One CRC-32C for each started unit of 32 KiB. */
export function unitChecksums(bytes: Uint8Array): Uint32Array {
  const sums = new Uint32Array(unitCount(bytes.byteLength));
  for (let unit = 0; unit < sums.length; unit += 1) sums[unit] = crc32cOf(unitOf(bytes, unit));
  return sums;
}

/**
 * Compares whole units with their checksums.
 *
 * @param bytes - begins where unit 0 of `expected` begins
 * @param expected - one checksum for each started unit of `bytes`
 * @returns the index of the first unit that does not match (or has no checksum), or undefined when
 *   all match
 */
export function firstBadUnit(bytes: Uint8Array, expected: ArrayLike<number>): number | undefined {
  const units = unitCount(bytes.byteLength);
  for (let unit = 0; unit < units; unit += 1) {
    if (crc32cOf(unitOf(bytes, unit)) !== expected[unit]) return unit;
  }
  return expected.length === units ? undefined : units;
}

/** Bytes that the encoded checksums of `sizeBytes` bytes take. */
export function trailerBytes(sizeBytes: number): number {
  return unitCount(sizeBytes) * CHECKSUM_BYTES;
}

/** Checksums as they stand behind the data in JuiceFS's cache files: 4 bytes each, big-endian. */
export function encodeTrailer(checksums: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(checksums.length * CHECKSUM_BYTES);
  const view = new DataView(bytes.buffer);
  for (let unit = 0; unit < checksums.length; unit += 1) {
    view.setUint32(unit * CHECKSUM_BYTES, checksums[unit] as number);
  }
  return bytes;
}

/**
 * The inverse of {@link encodeTrailer}.
 *
 * @returns undefined when the length is not a multiple of 4 bytes
 */
export function decodeTrailer(bytes: Uint8Array): Uint32Array | undefined {
  if (bytes.byteLength % CHECKSUM_BYTES !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sums = new Uint32Array(bytes.byteLength / CHECKSUM_BYTES);
  for (let unit = 0; unit < sums.length; unit += 1)
    sums[unit] = view.getUint32(unit * CHECKSUM_BYTES);
  return sums;
}

/** Checksums of units whose bytes come in pieces of any size. */
export class UnitChecksummer {
  readonly #done: number[] = [];
  #open = 0;
  #openBytes = 0;

  /** Takes the next bytes. */
  update(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.byteLength) {
      const take = Math.min(bytes.byteLength - at, CHECKSUM_UNIT_BYTES - this.#openBytes);
      this.#open = crc32cOf(bytes.subarray(at, at + take), this.#open);
      this.#openBytes += take;
      at += take;
      if (this.#openBytes === CHECKSUM_UNIT_BYTES) this.#close();
    }
  }

  /** Ends the last unit. @returns what {@link unitChecksums} gives for all bytes together */
  finish(): Uint32Array {
    if (this.#openBytes > 0) this.#close();
    return Uint32Array.from(this.#done);
  }

  #close(): void {
    this.#done.push(this.#open);
    this.#open = 0;
    this.#openBytes = 0;
  }
}

function unitOf(bytes: Uint8Array, unit: number): Uint8Array {
  return bytes.subarray(unit * CHECKSUM_UNIT_BYTES, (unit + 1) * CHECKSUM_UNIT_BYTES);
}
