import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { type Caller, ROOT_CALLER } from '../../src/meta/caller.ts';
import { createMetaWriter } from '../../src/meta/create-writer.ts';
import type { DirQuota, Entry } from '../../src/meta/engine.ts';
import type { WritableEngine } from '../../src/meta/writable-engine.ts';
import type { MetaWriter, WriteCall } from '../../src/meta/writer.ts';
import { type Attr, FileType } from '../../src/posix/attr.ts';
import { FsError } from '../../src/posix/errno.ts';
import { type Ino, ROOT_INO } from '../../src/posix/ino.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import type { SettingFields } from '../servers/empty-volume.ts';
import { contradictions } from './check-state.ts';
import { testEngine } from './meta-engine-options.ts';
import type { VolumeState } from './volume-state.ts';

/** A fresh volume on an engine, and the ways around the engine that the tests need. */
export interface WriterVolume {
  readonly metaUrl: string;
  change(fields: SettingFields): Promise<void>;
  state(): Promise<VolumeState>;
  setDirQuota(dir: bigint, quota: DirQuota): Promise<void>;
  setOwnerQuota(kind: 'user' | 'group', id: number, quota: DirQuota): Promise<void>;
  stop(): Promise<void>;
}

/** Makes a fresh volume. */
export type MakeVolume = (fields?: SettingFields) => Promise<WriterVolume>;

const SIGNAL = new AbortController().signal;

/** Bytes of a name. */
export const text = (name: string): Uint8Array => new TextEncoder().encode(name);

/** A caller whose permissions are checked. */
export function user(uid: number, gid = uid, ...more: number[]): Caller {
  return { uid, gid, gids: [gid, ...more], checkPerm: true };
}

/** The superuser, whom the kernel checks. */
export const ROOT: Caller = ROOT_CALLER;

/** A writer with a session on a volume, and short ways to call it. */
export class WriterBench {
  readonly volume: WriterVolume;
  readonly engine: WritableEngine;
  readonly writer: MetaWriter;
  readonly sid: bigint;
  /** Files that were gone: inode and length. */
  readonly deleted: (readonly [Ino, bigint])[];

  private constructor(parts: {
    volume: WriterVolume;
    engine: WritableEngine;
    writer: MetaWriter;
    sid: bigint;
    deleted: (readonly [Ino, bigint])[];
  }) {
    this.volume = parts.volume;
    this.engine = parts.engine;
    this.writer = parts.writer;
    this.sid = parts.sid;
    this.deleted = parts.deleted;
  }

  /** Starts an engine of its own. */
  static async on(volume: WriterVolume, options: { wallMs?: () => number } = {}) {
    const engine = testEngine(volume.metaUrl, options);
    await engine.start();
    const info = {
      Version: '1.4.1',
      HostName: 'test',
      MountPoint: '/t',
      MountTime: '',
      ProcessID: 1,
    };
    const sid = await engine.openSession(info, SIGNAL);
    const deleted: (readonly [Ino, bigint])[] = [];
    const { wallMs } = options;
    const writer = await createMetaWriter(
      {
        engine,
        clock: wallMs === undefined ? systemClock : { ...systemClock, wallMs },
        ...{ random: systemRandom, logger: silentLogger, metrics: memoryMetrics() },
        ...{ sid: () => sid, skipDirMtimeMs: 0 },
        onDeleted: (ino, length) => deleted.push([ino, length]),
      },
      SIGNAL,
    );
    return new WriterBench({ volume, engine, writer, sid, deleted });
  }

  async stop(): Promise<void> {
    await this.engine.stop();
  }

  as(caller: Caller): WriteCall {
    return { caller, signal: SIGNAL };
  }

  get root(): WriteCall {
    return this.as(ROOT);
  }

  async mkdir(name: string, parent: Ino = ROOT_INO, mode = 0o755, caller = ROOT): Promise<Ino> {
    const node = { type: FileType.directory, mode, umask: 0 };
    return (await this.writer.mknod({ parent, name: text(name) }, node, this.as(caller))).ino;
  }

  /** A regular file, closed, with as many bytes of one slice. */
  async file(name: string, parent: Ino = ROOT_INO, length = 0, caller = ROOT): Promise<Ino> {
    const node = { type: FileType.file, mode: 0o644, umask: 0 };
    const at = { parent, name: text(name) };
    const { ino } = await this.writer.mknod(at, node, this.as(caller));
    if (length > 0) await this.write(ino, 0, length);
    return ino;
  }

  /** Commits a slice of its own, inside of one chunk. */
  async write(ino: Ino, offset: number, length: number): Promise<bigint> {
    const sliceId = await this.writer.newSliceId(SIGNAL);
    const index = Math.floor(offset / 2 ** 26);
    const record = { pos: offset % 2 ** 26, sliceId, size: length, off: 0, len: length };
    const mtime = { seconds: 1_700_000_000, nanoseconds: 5 };
    await this.writer.commitSlices(ino, [{ index, record }], mtime, this.root);
    return sliceId;
  }

  async attr(ino: Ino): Promise<Attr> {
    const attr = await this.engine.getattr(ino, SIGNAL);
    if (attr === undefined) throw new Error(`inode ${ino} is gone`);
    return attr;
  }

  find(name: string, parent: Ino = ROOT_INO): Promise<Entry | undefined> {
    return this.engine.lookup(parent, text(name), SIGNAL);
  }

  /** @returns the state, which must not contradict itself */
  async sound(): Promise<VolumeState> {
    const state = await this.volume.state();
    const found = contradictions(state);
    if (found.length > 0) throw new Error(found.join('\n'));
    return state;
  }
}

/**
 * Does what must be refused.
 *
 * @returns the error's code
 * @throws Error when it was not refused, or when something was changed by it
 */
export async function refusal(
  bench: WriterBench,
  work: () => Promise<unknown>,
): Promise<string | undefined> {
  const before = await bench.volume.state();
  const error = await work().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof FsError)) throw new Error('it was not refused', { cause: error });
  if (!isDeepStrictEqual(await bench.volume.state(), before)) throw new Error('something changed');
  return error.code;
}

/** Gives the bench of a group of tests. */
export type Given = () => WriterBench;

/** A bench for the tests of the present group, on a volume of their own that is sound after each. */
export function benchOn(
  make: () => Promise<WriterVolume>,
  options: { wallMs?: () => number } = {},
): Given {
  let volume: WriterVolume | undefined;
  let bench: WriterBench | undefined;
  const given = () => {
    assert(bench !== undefined, 'the bench is there while tests run');
    return bench;
  };
  beforeAll(async () => {
    volume = await make();
    bench = await WriterBench.on(volume, options);
  });
  afterAll(async () => {
    await bench?.stop();
    await volume?.stop();
  });
  afterEach(() => given().sound());
  return given;
}
