import { open, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Chance that a test can repeat: numbers from 0 to 1, always the same for a seed. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    // Mulberry32.
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** All files below a folder. */
export async function filesBelow(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

/**
 * Does to some files what failing disks and crashes do: flipped bits, cut ends, zeros, garbage at
 * the end, lost files, contents of another file. A file that a running daemon removes meanwhile is
 * lost as well: nothing is done to it.
 */
export async function damageFiles(dir: string, count: number, random: () => number): Promise<void> {
  const files = await filesBelow(dir);
  const take = () => files.splice(Math.floor(random() * files.length), 1)[0];
  for (let done = 0; done < count && files.length > 1; done += 1)
    await damage(take() as string, take, random).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
}

async function damage(
  path: string,
  another: () => string | undefined,
  random: () => number,
): Promise<void> {
  const bytes = await readFile(path);
  const at = Math.floor(random() * bytes.length);
  const kind = Math.floor(random() * 6);
  if (kind === 0 && bytes.length > 0) {
    bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random() * 8));
    await overwrite(path, bytes);
  } else if (kind === 1) await truncate(path, at);
  else if (kind === 2) await overwrite(path, bytes.fill(0, at));
  else if (kind === 3) await writeFile(path, 'garbage', { flag: 'a' });
  else if (kind === 4) await rm(path);
  else await swap(path, another());
}

/** Flips one bit of a file's byte 1,000, in place: what a failing disk does. */
export async function flipBit(path: string): Promise<void> {
  const file = await open(path, 'r+');
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, 1000);
  buffer[0] = (buffer[0] as number) ^ 1;
  await file.write(buffer, 0, 1, 1000);
  await file.close();
}

/** In place: the file keeps its name, inode and length. */
async function overwrite(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, 0);
  await file.close();
}

async function swap(a: string, b: string | undefined): Promise<void> {
  if (b === undefined) return;
  await rename(a, `${a}.swap`);
  // The other one may be gone by now: then the first takes its name, too.
  try {
    await rename(b, a);
  } finally {
    await rename(`${a}.swap`, b);
  }
}
