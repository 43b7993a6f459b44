import type { CacheDisk } from '../cache-disk.ts';
import type { NamelessFiles } from './nameless-files.ts';
import type { ViewCalls } from './view-calls.ts';

/**
 * Finds out by doing it whether files of a disk can share bytes.
 *
 * @returns what is shared at least, in bytes, e.g. 4096
 * @throws the system's error when they can not: ENOTSUP, …
 */
export async function tryReflinks(
  disk: CacheDisk,
  files: NamelessFiles,
  calls: ViewCalls,
): Promise<number> {
  const { io } = disk;
  const { bsize: at } = await io.fileSystem(disk.paths.base);
  const fds: number[] = [];
  const close = () => {
    for (const fd of fds) io.close(fd).catch(() => undefined);
  };
  let cloning: Promise<unknown> = Promise.resolve();
  try {
    for (let file = 0; file < 2; file += 1) fds.push(await files.make(disk));
    const [source = -1, target = -1] = fds;
    // A page, and a byte that ends the file.
    const bytes = Buffer.alloc(at + 1, 'cachemesh');
    await io.writeAll(source, bytes, 0);
    const from = { fd: source, offset: 0, length: bytes.byteLength };
    cloning = calls.cloneRange(from, { fd: target, offset: at });
    await io.answered('try of reflinks', cloning);
    const isRight = await showsBehindZeros(disk, target, { bytes, at });
    if (!isRight) throw new Error('shared bytes are not the right ones');
    return at;
  } finally {
    // The call may still use them when nobody waits for it any more.
    cloning.then(close, close);
  }
}

async function showsBehindZeros(
  { io }: CacheDisk,
  fd: number,
  { bytes, at }: { bytes: Buffer; at: number },
): Promise<boolean> {
  const length = at + bytes.byteLength + 1;
  return await io.readPiece({ fd, offset: 0, length }, undefined, (read) => {
    const zeros = read.subarray(0, at).every((byte) => byte === 0);
    return zeros && Buffer.compare(read.subarray(at), bytes) === 0;
  });
}
