import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Bucket } from './buckets.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { sliceBytes } from './synthetic-bytes.ts';
import {
  encodeSyntheticAttr,
  encodeSyntheticEdge,
  encodeSyntheticSlice,
  type SyntheticAttr,
} from './synthetic-codec.ts';

const CHUNK_BYTES = 2 ** 26;
const UPLOADS_AT_ONCE = 8;
const FILES_AT_ONCE = 16;
const ENTRIES_PER_COMMAND = 1000;
const NAME = 'synthetic';
/** Every change gets a later time than the one before. */
const FIRST_SECOND = 1_700_000_000;

/** A run of a file's bytes: the slice that they come from, from its beginning. */
export interface SyntheticPiece {
  readonly sliceId: number;
  readonly length: number;
}

/** A file of a synthetic volume. Its content is that of its pieces, one after the other. */
export interface SyntheticFile {
  readonly ino: number;
  readonly parent: number;
  /** Relative to the volume's root. */
  readonly path: string;
  readonly sizeBytes: number;
  /** One per chunk. */
  readonly pieces: readonly SyntheticPiece[];
}

/** What a synthetic volume is made with. */
export interface SyntheticOptions {
  readonly bucket: Bucket;
  /** Default 4096. */
  readonly blockKib?: number;
  /** Fields of the setting that are to differ. */
  readonly setting?: Readonly<Record<string, unknown>>;
}

/** A volume written straight into Redis and a bucket, without a JuiceFS client. */
export class SyntheticVolume {
  readonly redis: RedisServer;
  readonly #bucket: Bucket;
  readonly #blockBytes: number;
  readonly #client: Redis;
  /** Made only once, however many files in one are made at the same time. */
  readonly #directories = new Map<string, Promise<number>>([['', Promise.resolve(1)]]);
  #lastIno = 1;
  #lastSliceId = 0;
  #ticks = 0;

  /** @see makeSyntheticVolume */
  constructor(redis: RedisServer, options: SyntheticOptions) {
    this.redis = redis;
    this.#bucket = options.bucket;
    this.#blockBytes = (options.blockKib ?? 4096) * 1024;
    this.#client = new Redis(redis.port, redis.host);
    // A test may take the server away; what it then does itself fails by itself.
    this.#client.on('error', () => undefined);
  }

  get metaUrl(): string {
    return this.redis.url;
  }

  /** Makes an empty volume. @internal */
  async format(options: SyntheticOptions): Promise<void> {
    const setting = {
      Name: NAME,
      UUID: randomUUID(),
      ...options.bucket.setting,
      BlockSize: this.#blockBytes / 1024,
      Compression: 'none',
      EncryptAlgo: 'aes256gcm-rsa',
      TrashDays: 0,
      MetaVersion: 1,
      MinClientVersion: '1.1.0-A',
      DirStats: true,
      EnableACL: false,
      ...options.setting,
    };
    await this.#client.set('setting', JSON.stringify(setting));
    await this.#client.set('i1', this.#directoryAttr(1));
  }

  /** Makes a directory and those above it. @returns its inode */
  addDirectory(path: string): Promise<number> {
    let made = this.#directories.get(path);
    if (made === undefined) {
      made = this.#makeDirectory(path);
      this.#directories.set(path, made);
    }
    return made;
  }

  async #makeDirectory(path: string): Promise<number> {
    const slash = path.lastIndexOf('/');
    const parent = await this.addDirectory(path.slice(0, Math.max(slash, 0)));
    const ino = ++this.#lastIno;
    await this.#client
      .multi()
      .set(`i${ino}`, this.#directoryAttr(parent))
      .hset(`d${parent}`, path.slice(slash + 1), encodeSyntheticEdge('directory', ino))
      .exec();
    return ino;
  }

  /** Makes a file of fresh noise; directories above it are made, too. */
  async addFile(path: string, sizeBytes: number): Promise<SyntheticFile> {
    const slash = path.lastIndexOf('/');
    const parent = await this.addDirectory(path.slice(0, Math.max(slash, 0)));
    const ino = ++this.#lastIno;
    const file = { ino, parent, path, sizeBytes, pieces: await this.#upload(sizeBytes) };
    await this.#commit(file).exec();
    await this.#client.hset(`d${parent}`, path.slice(slash + 1), encodeSyntheticEdge('file', ino));
    return file;
  }

  /** {@link addFile} for many: an upload to a gateway waits much longer than it works. */
  async addFiles(wanted: readonly (readonly [string, number])[]): Promise<SyntheticFile[]> {
    const files: SyntheticFile[] = [];
    const queue = wanted.entries();
    const add = async () => {
      for (const [at, [path, sizeBytes]] of queue) files[at] = await this.addFile(path, sizeBytes);
    };
    await Promise.all(Array.from({ length: FILES_AT_ONCE }, add));
    return files;
  }

  /** Overwrites a file with fresh noise, as a client that opens, truncates, writes and closes. */
  async rewrite(file: SyntheticFile, sizeBytes = file.sizeBytes): Promise<SyntheticFile> {
    const changed = { ...file, sizeBytes, pieces: await this.#upload(sizeBytes) };
    await this.#commit(changed).exec();
    return changed;
  }

  /** Fills a directory with so many empty files `NNNNNNNN`, quickly. */
  async addEmptyFiles(path: string, count: number): Promise<void> {
    const parent = await this.addDirectory(path);
    const attr = this.#fileAttr(0, parent);
    for (let at = 0; at < count; at += ENTRIES_PER_COMMAND) {
      const edges: (string | Buffer)[] = [];
      const attrs: (string | Buffer)[] = [];
      for (let index = at; index < Math.min(at + ENTRIES_PER_COMMAND, count); index += 1) {
        const ino = ++this.#lastIno;
        edges.push(String(index).padStart(8, '0'), encodeSyntheticEdge('file', ino));
        attrs.push(`i${ino}`, attr);
      }
      await Promise.all([this.#client.hset(`d${parent}`, ...edges), this.#client.mset(...attrs)]);
    }
  }

  /** Stops the metadata server. */
  async stop(): Promise<void> {
    this.#client.disconnect();
    await this.redis.stop();
  }

  #commit(file: SyntheticFile) {
    const change = this.#client.multi();
    change.set(`i${file.ino}`, this.#fileAttr(file.sizeBytes, file.parent));
    file.pieces.forEach(({ sliceId, length }, chunk) => {
      const slice = { pos: 0, id: sliceId, sizeBytes: length };
      change.del(`c${file.ino}_${chunk}`);
      change.rpush(`c${file.ino}_${chunk}`, encodeSyntheticSlice(slice));
    });
    return change;
  }

  async #upload(sizeBytes: number): Promise<SyntheticPiece[]> {
    const pieces: SyntheticPiece[] = [];
    for (let at = 0; at < sizeBytes; at += CHUNK_BYTES) {
      const piece = {
        sliceId: ++this.#lastSliceId,
        length: Math.min(CHUNK_BYTES, sizeBytes - at),
      };
      pieces.push(piece);
      await this.#uploadSlice(piece);
    }
    return pieces;
  }

  async #uploadSlice({ sliceId, length }: SyntheticPiece): Promise<void> {
    const count = Math.ceil(length / this.#blockBytes);
    let next = 0;
    const upload = async (): Promise<void> => {
      for (let index = next++; index < count; index = next++) {
        const offset = index * this.#blockBytes;
        const size = Math.min(this.#blockBytes, length - offset);
        const folder = `${NAME}/chunks/${Math.floor(sliceId / 1e6)}/${Math.floor(sliceId / 1e3)}`;
        await this.#bucket.put(
          `${folder}/${sliceId}_${index}_${size}`,
          sliceBytes(sliceId, offset, size),
        );
      }
    };
    await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, upload));
  }

  #fileAttr(length: number, parent: number): Buffer {
    return this.#attr({ type: 'file', mode: 0o644, nlink: 1, length, parent });
  }

  #directoryAttr(parent: number): Buffer {
    return this.#attr({ type: 'directory', mode: 0o777, nlink: 2, length: 4096, parent });
  }

  #attr(attr: Omit<SyntheticAttr, 'time'>): Buffer {
    const time = { seconds: FIRST_SECOND, nanoseconds: ++this.#ticks };
    return encodeSyntheticAttr({ ...attr, time });
  }
}

/** Starts a Redis server with an empty volume. */
export async function makeSyntheticVolume(options: SyntheticOptions): Promise<SyntheticVolume> {
  const volume = new SyntheticVolume(await startRedis(), options);
  await volume.format(options);
  return volume;
}
