import assert from 'node:assert/strict';
import { expect, test } from 'vitest';
import { SliceRecordError } from '../../src/block/read-plan.ts';
import { BlockReadError } from '../../src/mesh/loader.ts';
import { MetaError } from '../../src/meta/engine.ts';
import { FsError } from '../../src/posix/errno.ts';
import { CodedError } from '../../src/runtime/coded-error.ts';
import { DeadlineError } from '../../src/runtime/deadline.ts';
import { type Logger, silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { QueueFullError } from '../../src/runtime/semaphore.ts';
import { OutOfMemoryError } from '../../src/runtime/system/shared-memory.ts';
import { errnoOf } from '../../src/vfs/errno-of.ts';

function report(signal?: AbortSignal) {
  const lines: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    warn: (_fields, message) => void lines.push(`warn ${message}`),
    error: (_fields, message) => void lines.push(`error ${message}`),
  };
  const metrics = memoryMetrics();
  return { lines, metrics, logger, operation: 'read', ...(signal === undefined ? {} : { signal }) };
}

const known: readonly (readonly [Error, string])[] = [
  [new MetaError('unavailable', 'x'), 'EIO'],
  [new MetaError('corrupt', 'x'), 'EIO'],
  [new MetaError('no-volume', 'x'), 'EIO'],
  [new MetaError('incompatible', 'x'), 'EIO'],
  [new MetaError('bad-url', 'x'), 'EIO'],
  [new MetaError('bad-setting', 'x'), 'EIO'],
  [new MetaError('refused', 'x'), 'EACCES'],
  [new BlockReadError('missing', 'x'), 'EIO'],
  [new BlockReadError('failed', 'x'), 'EIO'],
  [new BlockReadError('corrupt', 'x'), 'EIO'],
  [new SliceRecordError('bad-slice', 'x'), 'EIO'],
  [new DeadlineError('deadline', 'x'), 'ETIMEDOUT'],
  [new QueueFullError('queue-full', 'x'), 'EBUSY'],
  [new OutOfMemoryError('out-of-memory', 'x'), 'ENOMEM'],
  [new FsError('EIO', 'lost'), 'EIO'],
];

test.each(known)('%s is counted and logged as %s', (error, code) => {
  const to = report();
  expect(errnoOf(error, to)).toMatchObject({ code });
  expect(to.metrics.value('vfs_errors', { operation: 'read', errno: code })).toBe(1);
  expect(to.lines).toEqual(['warn read failed']);
});

test('an expected outcome passes as it is', () => {
  const to = report();
  const error = new FsError('ENOENT');
  expect(errnoOf(error, to)).toBe(error);
  expect(to.lines).toEqual([]);
});

test('whatever an interrupted request throws is EINTR', () => {
  const controller = new AbortController();
  controller.abort();
  const to = report(controller.signal);
  expect(errnoOf(new MetaError('unavailable', 'x'), to)).toMatchObject({ code: 'EINTR' });
  expect(errnoOf(controller.signal.reason, report())).toMatchObject({ code: 'EINTR' });
  expect(to.lines).toEqual([]);
});

test('a change that may have been made is not said to be interrupted, which would say it was not', () => {
  const controller = new AbortController();
  controller.abort();
  const to = report(controller.signal);
  expect(errnoOf(new MetaError('outcome-unknown', 'x'), to)).toMatchObject({ code: 'EIO' });
});

test.each([
  [new TypeError('x')],
  [new CodedError('unheard-of', 'x')],
  [new assert.AssertionError({ message: 'x' })],
  ['a string'],
])('%s is a bug: EIO, counted, logged as an error', (error) => {
  const to = report();
  expect(errnoOf(error, to)).toMatchObject({ code: 'EIO', errno: 5 });
  expect(to.metrics.value('bug_total')).toBe(1);
  expect(to.lines).toEqual(['error bug: unforeseen failure of read']);
});
