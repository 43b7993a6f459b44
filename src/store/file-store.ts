import type { Stats } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, normalize } from 'node:path';
import type { ByteRange } from '../block/byte-range.ts';
import { abortReason } from '../runtime/deadline.ts';
import type { Random } from '../runtime/random.ts';
import { FileBodies, type OpenRange } from './file-body.ts';
import { type ObjectBody, type ObjectInfo, type ObjectStore, StoreError } from './object-store.ts';

const TEMP_NAME_CHARS = 200;
const GONE = new Set(['ENOENT', 'ENOTDIR']);
const DENIED = new Set(['EACCES', 'EPERM', 'EROFS']);

/**
 * Objects as files, as JuiceFS's `file` driver keeps them: the path of an object is the bucket
 * with the key appended as it is, so a bucket that is a directory ends with a slash.
 */
export class FileStore implements ObjectStore {
  readonly displayName: string;
  readonly #root: string;
  readonly #random: Random;
  readonly #bodies = new FileBodies();

  /**
   * @param options - `bucket`: an absolute path; `random`: names temporary files
   * @throws StoreError (`bad-config`) when the bucket is not an absolute path
   */
  constructor({ bucket, random }: { bucket: string; random: Random }) {
    if (!bucket.startsWith('/')) {
      throw new StoreError('bad-config', `bucket '${bucket}' is not an absolute path`);
    }
    this.#root = normalize(bucket);
    this.#random = random;
    this.displayName = `file://${this.#root}`;
  }

  async get(key: string, range: ByteRange | undefined, signal: AbortSignal): Promise<ObjectBody> {
    signal.throwIfAborted();
    const path = this.#pathOf(key);
    const file = await attempt(key, () => open(path, 'r'));
    try {
      const info = await attempt(key, () => file.stat());
      if (!info.isFile()) throw new StoreError('not-found', `${key}: not a file`);
      const wanted = range ?? { offset: 0, length: info.size };
      if (wanted.offset + wanted.length > info.size) {
        const message = `${key}: ends at ${info.size}, before the end of the range asked for`;
        throw new StoreError('corrupt', message);
      }
      return this.#bodies.body(openRange(key, file, wanted), signal);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectInfo | undefined> {
    signal.throwIfAborted();
    const path = this.#pathOf(key);
    const info = await statIfThere(key, path);
    return info?.isFile() === true ? toInfo(key, info) : undefined;
  }

  async put(key: string, body: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const path = this.#pathOf(key);
    const id = this.#random.below(2 ** 32);
    const temp = `${dirname(path)}/.jfs.${basename(path).slice(0, TEMP_NAME_CHARS)}.tmp.${id}`;
    await attempt(key, async () => {
      const file = await openNew(temp);
      try {
        try {
          await file.writeFile(body, { signal });
        } finally {
          await file.close();
        }
        // Whoever gave it up may delete it, and an object that comes later would stay. Nor are the
        // last bytes sure to be its own: their memory may serve another block by now.
        signal.throwIfAborted();
        await rename(temp, path);
      } catch (error) {
        await rm(temp, { force: true });
        throw signal.aborted ? abortReason(signal) : error;
      }
    });
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const path = this.#pathOf(key);
    await attempt(key, async () => {
      try {
        // Some clients make empty directories, whose keys end with a slash.
        await (key.endsWith('/') ? rmdir(path) : rm(path));
      } catch (error) {
        if (!GONE.has(codeOf(error))) throw error;
      }
    });
  }

  async *list(prefix: string, signal: AbortSignal): AsyncIterable<ObjectInfo> {
    const path = this.#pathOf(prefix);
    yield* this.#walk(path.slice(0, path.lastIndexOf('/') + 1), { path, signal });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Objects below `dir` whose paths begin with `path`, in the order of their keys. */
  async *#walk(
    dir: string,
    wanted: { path: string; signal: AbortSignal },
  ): AsyncIterable<ObjectInfo> {
    wanted.signal.throwIfAborted();
    for (const name of await namesIn(dir)) {
      wanted.signal.throwIfAborted();
      const path = `${dir}${name}`;
      if (name.endsWith('/')) {
        if (path.startsWith(wanted.path) || wanted.path.startsWith(path)) {
          yield* this.#walk(path, wanted);
        }
        continue;
      }
      if (!path.startsWith(wanted.path)) continue;
      const key = path.slice(this.#root.length);
      const info = await statIfThere(key, path);
      if (info?.isFile() === true) yield toInfo(key, info);
    }
  }

  /** @throws StoreError (`denied`) when the key would lead out of the bucket */
  #pathOf(key: string): string {
    if (key.includes('\0') || key.split('/').includes('..')) {
      throw new StoreError('denied', `key '${key}' leads out of the bucket`);
    }
    return `${this.#root}${key}`;
  }
}

function openRange(key: string, file: FileHandle, range: ByteRange): OpenRange {
  return {
    sizeBytes: range.length,
    async read(into, from) {
      const at = range.offset + from;
      const { bytesRead } = await attempt(key, () => file.read(into, 0, into.byteLength, at));
      if (bytesRead === 0) throw new StoreError('corrupt', `${key}: ends early, at ${at}`);
      return bytesRead;
    },
    close: () => file.close(),
  };
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o666);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    await mkdir(dirname(path), { recursive: true, mode: 0o777 });
    return open(path, 'wx', 0o666);
  }
}

/** Names in a directory in the order of keys: a directory's name ends with a slash. */
async function namesIn(dir: string): Promise<string[]> {
  const names = await attempt(dir, async () => {
    try {
      const entries = await readdir(dir, { withFileTypes: true });
      return entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name));
    } catch (error) {
      if (GONE.has(codeOf(error))) return [];
      throw error;
    }
  });
  return names.sort((a, b) => (a < b ? -1 : 1));
}

async function statIfThere(key: string, path: string): Promise<Stats | undefined> {
  return attempt(key, async () => {
    try {
      return await stat(path);
    } catch (error) {
      if (GONE.has(codeOf(error))) return undefined;
      throw error;
    }
  });
}

function toInfo(key: string, info: Stats): ObjectInfo {
  return { key, sizeBytes: info.size, modifiedAtMs: info.mtimeMs };
}

/** Runs a file operation and turns its failure into one that names the object. */
async function attempt<T>(key: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = codeOf(error);
    // Our own errors, abortions and bugs are not about the file.
    if (code === '' || error instanceof StoreError) throw error;
    const message = `${key}: ${(error as Error).message}`;
    if (GONE.has(code)) throw new StoreError('not-found', message, { cause: error });
    if (DENIED.has(code)) throw new StoreError('denied', message, { cause: error });
    throw new StoreError('unavailable', message, { cause: error, retryable: true });
  }
}

/** The errno name of a system error, or ''. */
function codeOf(error: unknown): string {
  const isSystemError = error instanceof Error && 'syscall' in error && 'code' in error;
  return isSystemError ? String(error.code) : '';
}
