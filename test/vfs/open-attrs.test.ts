import { expect, test } from 'vitest';
import { MetaError } from '../../src/meta/engine.ts';
import type { Attr } from '../../src/posix/attr.ts';
import { toIno } from '../../src/posix/ino.ts';
import { abortReason } from '../../src/runtime/deadline.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { OpenAttrs } from '../../src/vfs/open-attrs.ts';
import { OpenFiles } from '../../src/vfs/open-files.ts';
import { attrOf } from './fake-meta.ts';
import { ManualClock, settle } from './manual-clock.ts';

const INO = toIno(2n);
const KNOWN = attrOf({ length: 10n });
const NEWER = attrOf({ length: 20n });
const never = (_: unknown, signal: AbortSignal) =>
  new Promise<Attr>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(abortReason(signal)));
  });

function setUp() {
  const clock = new ManualClock();
  const metrics = memoryMetrics();
  const files = new OpenFiles({ limit: 10, clock, onEnd: () => undefined });
  const meta: { ask: (ino: unknown, signal: AbortSignal) => Promise<Attr> } = { ask: never };
  const attrs = new OpenAttrs({ files, clock, metrics, ask: (...args) => meta.ask(...args) });
  const open = () => files.open(INO, KNOWN, files.ticket());
  const signal = new AbortController().signal;
  return { clock, metrics, files, meta, attrs, open, signal };
}

test('an open file has a known attribute while the metadata does not answer', async () => {
  const { attrs, clock, meta, metrics, open, signal } = setUp();
  open();
  const startMs = clock.nowMs();
  expect(await clock.drive(attrs.attrOf(INO, signal))).toEqual({ attr: KNOWN, isOld: true });
  expect(clock.nowMs() - startMs).toBeLessThanOrEqual(1050);
  // The next one does not wait that long again.
  const secondMs = clock.nowMs();
  expect(await clock.drive(attrs.attrOf(INO, signal))).toEqual({ attr: KNOWN, isOld: true });
  expect(clock.nowMs() - secondMs).toBeLessThanOrEqual(100);
  expect(metrics.value('vfs_old_attrs')).toBe(2);
  meta.ask = async () => NEWER;
  expect(await attrs.attrOf(INO, signal)).toEqual({ attr: NEWER, isOld: false });
});

test('an engine that says that it is away is not waited for', async () => {
  const { attrs, meta, open, signal } = setUp();
  open();
  meta.ask = () => Promise.reject(new MetaError('unavailable', 'no answer'));
  expect(await attrs.attrOf(INO, signal)).toEqual({ attr: KNOWN, isOld: true });
});

test('a file that is not open waits as long as the engine does', async () => {
  const { attrs, clock, files, meta, open, signal } = setUp();
  const file = open();
  files.close(file, file.version);
  meta.ask = () => Promise.reject(new MetaError('unavailable', 'no answer'));
  await expect(attrs.attrOf(INO, signal)).rejects.toMatchObject({ code: 'unavailable' });
  meta.ask = never;
  const asking = new AbortController();
  const asked = attrs.attrOf(INO, asking.signal);
  clock.advance(5_000);
  await settle();
  asking.abort(new Error('enough'));
  await expect(asked).rejects.toThrow('enough');
});

test('other failures and interrupts pass', async () => {
  const { attrs, meta, open, signal } = setUp();
  open();
  meta.ask = () => Promise.reject(new MetaError('corrupt', 'nonsense'));
  await expect(attrs.attrOf(INO, signal)).rejects.toMatchObject({ code: 'corrupt' });
  meta.ask = never;
  const asking = new AbortController();
  const asked = attrs.attrOf(INO, asking.signal);
  asking.abort(new Error('interrupted'));
  await expect(asked).rejects.toThrow('interrupted');
});
