import type { RangeLock } from './file-lock.ts';

const RECORD_BYTES = 24;
/** As Linux numbers them. @see asm-generic/fcntl.h F_RDLCK, F_WRLCK */
const READ = 0;
const WRITE = 1;

/**
 * Decodes the range locks of one holder: type u32, pid u32, start u64, end u64, big-endian.
 *
 * @returns undefined when the length is not a multiple of 24 bytes
 */
export function decodeRangeLocks(bytes: Uint8Array): RangeLock[] | undefined {
  if (bytes.byteLength % RECORD_BYTES !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const locks: RangeLock[] = [];
  for (let at = 0; at < bytes.byteLength; at += RECORD_BYTES) {
    locks.push({
      type: view.getUint32(at) === READ ? 'read' : 'write',
      pid: view.getUint32(at + 4),
      start: view.getBigUint64(at + 8),
      end: view.getBigUint64(at + 16),
    });
  }
  return locks;
}

/** The inverse of {@link decodeRangeLocks}; there are no locks of type `unlock`. */
export function encodeRangeLocks(locks: readonly RangeLock[]): Uint8Array {
  const bytes = new Uint8Array(locks.length * RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  locks.forEach(({ type, pid, start, end }, index) => {
    const at = index * RECORD_BYTES;
    view.setUint32(at, type === 'read' ? READ : WRITE);
    view.setUint32(at + 4, pid);
    view.setBigUint64(at + 8, start);
    view.setBigUint64(at + 16, end);
  });
  return bytes;
}
