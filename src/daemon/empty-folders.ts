import { readdir, rmdir } from 'node:fs/promises';

const GONE = new Set(['ENOENT', 'ENOTDIR']);
const NOT_EMPTY = new Set(['ENOTEMPTY', 'EEXIST']);

/**
 * Removes a folder of a bucket that is a directory, and those in it, as far as they are empty.
 *
 * @param folder - absolute path
 * @throws the system's error
 */
export async function removeEmptyFolders(folder: string): Promise<void> {
  let names: string[];
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (isOf(GONE, error)) return;
    throw error;
  }
  for (const name of names) await removeEmptyFolders(`${folder}/${name}`);
  try {
    await rmdir(folder);
  } catch (error) {
    if (!isOf(GONE, error) && !isOf(NOT_EMPTY, error)) throw error;
  }
}

function isOf(codes: ReadonlySet<string>, error: unknown): boolean {
  return codes.has(String((error as NodeJS.ErrnoException).code));
}
