import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ROOT_CALLER as ROOT } from '../../../src/meta/caller.ts';
import { MetaError } from '../../../src/meta/engine.ts';
import type { SliceCommit } from '../../../src/meta/writer.ts';
import { FsError } from '../../../src/posix/errno.ts';
import { toIno } from '../../../src/posix/ino.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { memoryMetrics } from '../../../src/runtime/metrics.ts';
import { shownAttr } from '../../../src/vfs/open-file.ts';
import { OpenFiles } from '../../../src/vfs/open-files.ts';
import { Writers } from '../../../src/vfs/write/writers.ts';
import { manualClock } from '../../store/manual-clock.ts';
import { EMPTY_FILE, FakeVolume, FILE_INO } from './fake-volume.ts';

const BLOCK = 64;
const CHUNK = 2 ** 26;
const { signal } = new AbortController();

function setUp(bufferBytes = 1 << 20) {
  const volume = new FakeVolume(BLOCK);
  const clock = manualClock();
  const metrics = memoryMetrics();
  const openFiles = new OpenFiles({ limit: 100, clock, onEnd: () => undefined });
  const file = openFiles.open(FILE_INO, EMPTY_FILE, openFiles.ticket());
  const surroundings = { clock, metrics, logger: silentLogger };
  const { meta, writer: dataWriter, blocks } = volume;
  const parts = { meta, writer: dataWriter, blocks, openFiles, blockBytes: BLOCK, bufferBytes };
  const compactions = { noteCommit: async () => undefined };
  const writers = new Writers({ ...surroundings, ...parts, compactions });
  const writer = writers.open(FILE_INO);
  return { volume, clock, metrics, openFiles, file, writers, writer };
}

const text = (value: string) => new Uint8Array(Buffer.from(value));
const show = (bytes: Uint8Array) => Buffer.from(bytes).toString();

describe('what was written', () => {
  test('is at other clients after a flush, and the file is as long as it must be', async () => {
    const { volume, writers, writer, file } = setUp();
    await writer.write(0, text('hello '), signal);
    await writer.write(6, text('world'), signal);
    expect(shownAttr(file).length).toBe(11n);
    expect(file.attr.length).toBe(0n);
    await writers.flush(FILE_INO, signal);
    expect(show(volume.content())).toBe('hello world');
    expect(file.attr.length).toBe(11n);
    expect(file.pending).toBeUndefined();
    expect(volume.commits).toHaveLength(1);
  });

  test('is sent by itself when nobody writes for a second', async () => {
    const { volume, writer, clock } = setUp();
    await writer.write(0, text('idle'), signal);
    await clock.advance(900);
    expect(volume.commits).toHaveLength(0);
    await clock.advance(300);
    expect(show(volume.content())).toBe('idle');
  });

  test('is sent after five seconds also when somebody always writes', async () => {
    const { volume, writer, clock } = setUp();
    for (let turn = 0; turn < 11; turn += 1) {
      await writer.write(turn, text('x'), signal);
      await clock.advance(500);
    }
    expect(volume.commits.length).toBeGreaterThan(0);
  });

  test('goes over chunk borders', async () => {
    const { volume, writers, writer } = setUp();
    await writer.write(CHUNK - 3, text('abcdef'), signal);
    await writers.flush(FILE_INO, signal);
    expect(volume.chunks.get(0)).toMatchObject([{ pos: CHUNK - 3, len: 3 }]);
    expect(volume.chunks.get(1)).toMatchObject([{ pos: 0, len: 3 }]);
  });

  test('full blocks do not wait for the end of the slice', async () => {
    const { volume, writer, clock } = setUp();
    await writer.write(0, new Uint8Array(BLOCK * 2 + 5), signal);
    await clock.advance(0);
    expect([...volume.objects.keys()]).toEqual(['1_0_64', '1_1_64']);
  });

  test('is appended where the file ends', async () => {
    const { volume, writers, writer } = setUp();
    for (const part of ['one ', 'two ', 'three']) await writer.write(undefined, text(part), signal);
    await writers.flush(FILE_INO, signal);
    expect(show(volume.content())).toBe('one two three');
  });

  test('waits for memory, and gives it back', async () => {
    const { volume, writers, writer, metrics } = setUp(256);
    const parts = Array.from({ length: 20 }, (_, index) => new Uint8Array(100).fill(index + 1));
    for (const [index, part] of parts.entries()) await writer.write(index * 100, part, signal);
    await writers.flush(FILE_INO, signal);
    expect(Buffer.compare(volume.content(), Buffer.concat(parts))).toBe(0);
    expect(metrics.value('write_buffer_used_bytes')).toBe(0);
  });

  test('is what a shadow file has, whatever was written in whatever order', async () => {
    const sizeMax = 600;
    const write = fc.record({
      kind: fc.constant('write' as const),
      offset: fc.nat(sizeMax),
      length: fc.integer({ min: 1, max: 200 }),
    });
    const step = fc.oneof(
      { weight: 8, arbitrary: write },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { volume, writers, writer, clock } = setUp(1_000);
        // At the border of two chunks.
        const start = CHUNK - 300;
        const shadow = Buffer.alloc(sizeMax + 200);
        let end = 0;
        for (const [number, one] of steps.entries()) {
          if (one.kind === 'flush') await writers.flush(FILE_INO, signal);
          else if (one.kind === 'wait') await clock.advance(1_200);
          else {
            const bytes = new Uint8Array(one.length).fill((number % 255) + 1);
            await writer.write(start + one.offset, bytes, signal);
            shadow.set(bytes, one.offset);
            end = Math.max(end, one.offset + one.length);
          }
        }
        await writers.flush(FILE_INO, signal);
        expect(volume.problems).toEqual([]);
        const length = end === 0 ? 0 : start + end;
        expect(Number(volume.attr.length)).toBe(length);
        const found = volume.content().subarray(start);
        expect(Buffer.compare(found, shadow.subarray(0, end))).toBe(0);
      }),
      { numRuns: 25 },
    );
  }, 120_000);
});

describe('a reader of the same mount', () => {
  test('waits only for bytes that are not committed', async () => {
    const { volume, writers, writer } = setUp();
    await writer.write(0, new Uint8Array(1_000), signal);
    await writers.flush(FILE_INO, signal);
    await writer.write(500, text('new'), signal);
    await writers.settle(FILE_INO, { offset: 0, length: 500 }, signal);
    await writers.settle(FILE_INO, { offset: 503, length: 497 }, signal);
    expect(volume.commits).toHaveLength(1);
    await writers.settle(FILE_INO, { offset: 502, length: 1 }, signal);
    expect(volume.commits).toHaveLength(2);
  });

  test('waits for the end of the file when it asks for more than is committed', async () => {
    const { volume, writers, writer } = setUp();
    await writer.write(1_000, text('end'), signal);
    await writers.settle(FILE_INO, { offset: 0, length: 10 }, signal);
    expect(volume.attr.length).toBe(1_003n);
  });
});

describe('an object store that fails', () => {
  test('is told by the flush, by every write after it, and nothing half-done is visible', async () => {
    const { volume, writers, writer, file, metrics } = setUp();
    await writer.write(0, text('first'), signal);
    await writers.flush(FILE_INO, signal);
    volume.onPut = async () => {
      throw new Error('no');
    };
    await writer.write(5, text('second'), signal);
    await expect(writers.flush(FILE_INO, signal)).rejects.toMatchObject({ code: 'EIO' });
    await expect(writer.write(11, text('x'), signal)).rejects.toMatchObject({ code: 'EIO' });
    await expect(writers.flush(FILE_INO, signal)).rejects.toMatchObject({ code: 'EIO' });
    expect(show(volume.content())).toBe('first');
    expect(shownAttr(file).length).toBe(5n);
    expect(metrics.value('write_lost_bytes')).toBe(6);
  });

  test('loses what was written after the loss, too: others see a prefix of the writes', async () => {
    const { volume, writers, writer } = setUp();
    volume.onPut = async ({ sliceId }) => {
      if (sliceId === 1n) throw new Error('no');
    };
    await writer.write(0, text('a'), signal);
    await writer.write(1_000, text('b'), signal);
    await expect(writers.flush(FILE_INO, signal)).rejects.toMatchObject({ code: 'EIO' });
    expect(volume.attr.length).toBe(0n);
    expect([...volume.objects.keys()]).toEqual([]);
  });

  test('is forgotten when the last handle is closed', async () => {
    const { volume, writers, writer } = setUp();
    volume.onPut = async () => {
      throw new Error('no');
    };
    await writer.write(0, text('a'), signal);
    await writers.flush(FILE_INO, signal).catch(() => undefined);
    writers.close(writer);
    volume.onPut = async () => undefined;
    const next = writers.open(FILE_INO);
    await next.write(0, text('b'), signal);
    await writers.flush(FILE_INO, signal);
    expect(show(volume.content())).toBe('b');
  });
});

describe('metadata that fails', () => {
  test('says why: no room is no I/O error', async () => {
    const { volume, writers, writer } = setUp();
    volume.onCommit = async () => {
      throw new FsError('ENOSPC');
    };
    await writer.write(0, text('a'), signal);
    await expect(writers.flush(FILE_INO, signal)).rejects.toMatchObject({ code: 'ENOSPC' });
    expect([...volume.objects.keys()]).toEqual([]);
  });

  test('takes back what was under way when a commit was refused, when it has arrived', async () => {
    const { volume, writers, writer, file, clock } = setUp();
    const late = Promise.withResolvers<void>();
    volume.onPut = ({ sliceId }) => (sliceId === 2n ? late.promise : Promise.resolve());
    volume.onCommit = () => Promise.reject(new FsError('EDQUOT'));
    await writer.write(0, new Uint8Array(BLOCK), signal);
    await writer.write(10 * BLOCK, new Uint8Array(BLOCK), signal);
    await expect(writers.flush(FILE_INO, signal)).rejects.toMatchObject({ code: 'EDQUOT' });
    expect(file.pending).toBeUndefined();
    await clock.advance(1);
    late.resolve();
    await clock.advance(1);
    expect([...volume.objects.keys()]).toEqual([]);
  });

  test('is waited for while it is away', async () => {
    const { volume, writers, writer, clock, metrics } = setUp();
    let failures = 5;
    volume.onCommit = async () => {
      failures -= 1;
      if (failures >= 0) throw new MetaError('unavailable', 'away', { retryable: true });
    };
    await writer.write(0, text('patient'), signal);
    const flushing = writers.flush(FILE_INO, signal);
    await clock.advance(10_000);
    await flushing;
    expect(show(volume.content())).toBe('patient');
    expect(metrics.value('write_commit_retries')).toBe(5);
  });

  test('commits once, also when its answer is lost', async () => {
    const { volume, writers, writer, clock } = setUp();
    let isFirst = true;
    volume.onCommitted = async () => {
      if (isFirst) {
        isFirst = false;
        throw new MetaError('outcome-unknown', 'gone');
      }
    };
    await writer.write(0, text('once'), signal);
    const flushing = writers.flush(FILE_INO, signal);
    await clock.advance(10_000);
    await flushing;
    expect(volume.chunks.get(0)).toHaveLength(1);
    expect(show(volume.content())).toBe('once');
  });

  test('may take a commit whose answer is lost, and have it compacted away at once', async () => {
    const { volume, writers, writer, clock } = setUp();
    let isFirst = true;
    volume.onCommitted = async () => {
      if (!isFirst) return;
      isFirst = false;
      // Another client makes one slice of the chunk, and deletes what it has replaced.
      volume.objects.clear();
      volume.objects.set('900_0_4', text('once'));
      volume.chunks.set(0, [{ pos: 0, sliceId: 900n, size: 4, off: 0, len: 4 }]);
      throw new MetaError('outcome-unknown', 'gone');
    };
    await writer.write(0, text('once'), signal);
    const flushing = writers.flush(FILE_INO, signal);
    await clock.advance(10_000);
    await flushing;
    expect(show(volume.content())).toBe('once');
    expect(volume.problems).toEqual([]);
    const ids = volume.chunks.get(0)?.map(({ sliceId }) => sliceId);
    expect(new Set(ids).size).toBe(ids?.length);
  });

  test('may take a commit after its connection was lost, and after the next one', async () => {
    const { volume, writers, writer, clock, metrics } = setUp();
    let late: readonly SliceCommit[] = [];
    volume.onCommit = async (commits) => {
      if (late.length > 0) return;
      late = commits;
      throw new MetaError('outcome-unknown', 'gone');
    };
    const content = new Uint8Array(BLOCK * 2 + 5).fill(7);
    await writer.write(0, content, signal);
    const flushing = writers.flush(FILE_INO, signal);
    await clock.advance(10_000);
    await flushing;
    await volume.writer.commitSlices(FILE_INO, late, EMPTY_FILE.mtime, { caller: ROOT, signal });
    expect(volume.content()).toEqual(content);
    expect(volume.problems).toEqual([]);
    const ids = volume.chunks.get(0)?.map(({ sliceId }) => sliceId);
    expect(new Set(ids).size).toBe(2);
    expect(metrics.value('write_slice_renewals')).toBe(1);
  });

  test('is waited for without storing anything again while it says that nothing was done', async () => {
    const { volume, writers, writer, clock, metrics } = setUp();
    let failures = 3;
    volume.onCommit = async () => {
      failures -= 1;
      if (failures >= 0) throw new MetaError('unavailable', 'away', { retryable: true });
    };
    await writer.write(0, text('kept'), signal);
    const flushing = writers.flush(FILE_INO, signal);
    await clock.advance(10_000);
    await flushing;
    expect(metrics.value('write_slice_renewals')).toBe(0);
    expect(volume.objects.size).toBe(1);
  });

  test('keeps objects that may be committed', async () => {
    const { volume, writers, writer, clock } = setUp();
    volume.onCommitted = async () => {
      throw new MetaError('outcome-unknown', 'gone');
    };
    volume.isAway = true;
    await writer.write(0, text('kept'), signal);
    const flushing = writers.flush(FILE_INO, signal);
    flushing.catch(() => undefined);
    await clock.advance(200_000);
    await expect(flushing).rejects.toMatchObject({ code: 'EIO' });
    expect(volume.objects.size).toBe(1);
  });
});

test('the end of the mount commits everything', async () => {
  const { volume, writers, writer } = setUp();
  await writer.write(0, text('last'), signal);
  await writers.stop();
  expect(show(volume.content())).toBe('last');
});

test('whoever is alone with a file and is interrupted while it is changed is told what came of it', async () => {
  const { writers, writer } = setUp();
  await writer.write(0, text('before'), signal);
  const interrupt = new AbortController();
  const inside = Promise.withResolvers<void>();
  const leave = Promise.withResolvers<string>();
  const alone = writers.alone(FILE_INO, interrupt.signal, () => {
    inside.resolve();
    return leave.promise;
  });
  await inside.promise;
  interrupt.abort(new Error('interrupted'));
  leave.resolve('done');
  expect(await alone).toBe('done');
});

test('those who want to be alone with a file are so one after the other', async () => {
  const { writers } = setUp();
  let inside = 0;
  const visit = async () => {
    expect(++inside).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    inside -= 1;
  };
  await Promise.all(Array.from({ length: 5 }, () => writers.alone(FILE_INO, signal, visit)));
});

test('the end of the mount commits what it can, whatever another file has lost', async () => {
  const { volume, writers, writer, openFiles, clock } = setUp();
  const slow = Promise.withResolvers<void>();
  volume.onPut = async ({ sliceId }) => {
    if (sliceId === 1n) throw new Error('no');
    await slow.promise;
  };
  const otherIno = toIno(8n);
  openFiles.open(otherIno, EMPTY_FILE, openFiles.ticket());
  const other = writers.open(otherIno);
  await other.write(0, text('lost'), signal);
  await writer.write(0, text('kept'), signal);
  const stopping = writers.stop();
  await clock.advance(0);
  slow.resolve();
  await stopping;
  expect(other.failure?.code).toBe('EIO');
  expect(show(volume.content())).toBe('kept');
});

test('whoever is alone with a file sees no write under way, and writes wait', async () => {
  const { volume, writers, writer } = setUp();
  await writer.write(0, text('before'), signal);
  const inside = Promise.withResolvers<void>();
  const leave = Promise.withResolvers<void>();
  const alone = writers.alone(FILE_INO, signal, async () => {
    inside.resolve();
    await leave.promise;
    return show(volume.content());
  });
  await inside.promise;
  const writing = writer.write(6, text(' after'), signal);
  leave.resolve();
  expect(await alone).toBe('before');
  await writing;
  await writers.flush(FILE_INO, signal);
  expect(show(volume.content())).toBe('before after');
});
