import { describe, expect, test } from 'vitest';
import type { SliceRecord } from '../../src/block/slice-record.ts';
import type { FileView, ViewMaker, ViewRefusal } from '../../src/mesh/local-views.ts';
import { type Ino, ROOT_INO, toIno } from '../../src/posix/ino.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { OpenFiles } from '../../src/vfs/open-files.ts';
import { PlanCache } from '../../src/vfs/plan-cache.ts';
import { FileViews } from '../../src/vfs/views/file-views.ts';
import { attrOf, FakeMeta } from './fake-meta.ts';
import { BLOCK, fakeVfs } from './fake-vfs.ts';
import { ManualClock } from './manual-clock.ts';

const INO = toIno(7n);
const never = new AbortController().signal;

/** Makes views of whatever it is asked for, as many as there may be. */
class FakeMaker implements ViewMaker {
  readonly unfit = undefined;
  readonly most: number;
  /** Those that are good, the one that was unused for longest first. */
  readonly good = new Set<string>();
  made = 0;
  /** Called before each; may wait. */
  before: () => Promise<ViewRefusal | undefined> = async () => undefined;

  constructor(most: number) {
    this.most = most;
  }

  holds = () => true;
  written = async () => undefined;

  async make({ lengthBytes }: { lengthBytes: number }): Promise<FileView | ViewRefusal> {
    const refusal = await this.before();
    if (refusal !== undefined) return refusal;
    this.made += 1;
    const name = `view ${this.made}`;
    const { good } = this;
    const [oldest] = good;
    if (good.size === this.most) good.delete(oldest as string);
    good.add(name);
    return {
      ...{ name, fd: this.made, lengthBytes },
      standing: {
        get isGood() {
          return good.has(name);
        },
      },
      claim: { hold: () => good.has(name), letGo: () => undefined },
      used: () => good.delete(name) && good.add(name),
      end: () => good.delete(name),
    };
  }
}

const sliceOf = (ino: bigint, size: number): SliceRecord => ({
  ...{ pos: 0, sliceId: ino, size, off: 0, len: size },
});

describe('views of files', () => {
  function start(length: number) {
    const [meta, clock, maker] = [new FakeMeta(), new ManualClock(), new FakeMaker(10)];
    const metrics = memoryMetrics();
    meta.add(ROOT_INO, 'file', INO, { length: BigInt(length) });
    meta.chunks.set(`${INO}/0`, [sliceOf(INO, Math.min(length, 2 ** 26))]);
    const plans = new PlanCache({ meta, clock, piecesMax: 100, timeoutMs: 1000 });
    const parts = { maker, plans, blockBytes: BLOCK, clock, logger: silentLogger, metrics };
    const views = new FileViews(parts);
    const files = new OpenFiles({ limit: 10, clock, onEnd: (version) => views.ended(version) });
    const file = files.open(INO, attrOf({ length: BigInt(length) }), files.ticket());
    const attempts = (outcome: string) =>
      metrics.value('fuse_passthrough_views_total', { outcome });
    return { meta, clock, maker, views, file, attempts };
  }

  const settle = () => new Promise((resolve) => setImmediate(resolve));

  test('a sparse file of any length is not asked about, chunk by chunk', async () => {
    const { meta, views, file } = start(2 ** 40 + 1);
    expect(await views.make(file, never)).toBe('large');
    expect(meta.calls).toEqual([]);
  });

  test('who waits for a view that somebody else has made waits no longer than it wants', async () => {
    const { maker, views, file } = start(3 * BLOCK);
    const gate = Promise.withResolvers<undefined>();
    maker.before = () => gate.promise;
    for (let open = 0; open < 2; open += 1) views.opened(file);
    const waiting = new AbortController();
    const made = views.make(file, waiting.signal);
    waiting.abort(new Error('enough'));
    await expect(made).rejects.toThrow('enough');
    await expect(views.make(file, waiting.signal)).rejects.toThrow('enough');
    gate.resolve(undefined);
    await settle();
    expect(views.of(file.version)?.name).toBe('view 1');
  });

  test('one that is made instead of another one ends it', async () => {
    const { maker, views, file } = start(3 * BLOCK);
    await views.make(file, never);
    // Its disk does not answer for a moment.
    maker.good.delete('view 1');
    maker.before = async () => {
      maker.good.add('view 1');
      return undefined;
    };
    await views.make(file, never);
    expect([...maker.good]).toEqual(['view 2']);
    views.ended(file.version);
    expect(maker.good.size).toBe(0);
  });

  test('a file beside pages is tried again, since its slices may have been put together', async () => {
    const { maker, views, file, clock, attempts } = start(3 * BLOCK);
    maker.before = async () => 'unaligned';
    for (let open = 0; open < 5; open += 1) {
      views.opened(file);
      await settle();
    }
    expect(attempts('unaligned')).toBe(1);
    maker.before = async () => undefined;
    clock.advance(600_000);
    views.opened(file);
    await settle();
    expect(attempts('made')).toBe(1);
  });
});

describe('files that are pinned', () => {
  const MOST = 1200;

  test('all have their views in the end, as many as there can be; the others count as failed', async () => {
    const maker = new FakeMaker(MOST);
    maker.before = () => new Promise((resolve) => setImmediate(() => resolve(undefined)));
    const cached = { cachedFile: () => undefined };
    const source = { cached, viewMaker: maker, bytesMax: 1e9 };
    const { vfs, meta } = fakeVfs({}, {}, source);
    vfs.attachBacking({ open: () => 1, close: () => undefined });
    for (let ino = 1000n; ino < 1000n + BigInt(MOST) + 100n; ino += 1n) {
      addFile(meta, ino, BLOCK + 1);
    }
    addFile(meta, 5000n, BLOCK);
    const pin = async (...paths: string[]) => {
      const job = vfs.jobs.start({ action: 'pin', paths, parallel: 50 });
      await job.ended;
      return job.progress;
    };
    const { views, filesDone, filesFailed, failures } = await pin('/');
    const found = { views, filesDone, filesFailed, good: maker.good.size };
    expect(found).toEqual({ views: MOST, filesDone: MOST + 101, filesFailed: 100, good: MOST });
    expect(failures[0]?.error).toContain('as many views as the limit of open files');
    // Another time they are found, and others go before them.
    const before = maker.made;
    expect((await pin('file-1000', 'file-1001')).views).toBe(2);
    expect(maker.made).toBe(before);
    await vfs.stop();
  });

  function addFile(meta: FakeMeta, ino: bigint, length: number): Ino {
    meta.chunks.set(`${ino}/0`, [sliceOf(ino, length)]);
    return meta.add(ROOT_INO, `file-${ino}`, ino, { length: BigInt(length) });
  }
});
