import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createLogger } from '../../src/daemon/pino-logger.ts';
import { makeTempDir } from '../servers/temp.ts';

const MAIN = fileURLToPath(new URL('../../src/daemon/main.ts', import.meta.url));

test('a log on a full disk costs its lines, and nothing else', () => {
  const logger = createLogger({ level: 'info', file: '/dev/full' });
  const message = 'x'.repeat(700_000);
  for (let line = 0; line < 3; line += 1) {
    expect(() => logger.warn({ line }, message)).not.toThrow();
  }
});

test('lines that had no room follow when there is some', async () => {
  const file = join(await makeTempDir('log'), 'log');
  const logger = createLogger({ level: 'info', file });
  const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  const spy = vi.spyOn(fs, 'writeSync').mockImplementation(() => {
    throw full;
  });
  onTestFinished(() => spy.mockRestore());
  logger.info({}, 'first');
  logger.info({}, 'second');
  expect(fs.readFileSync(file, 'utf8')).toBe('');
  spy.mockRestore();
  logger.info({}, 'third');
  const lines = fs.readFileSync(file, 'utf8').trimEnd().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
    'first',
    'second',
    'third',
  ]);
});

test('a command whose error cannot be printed ends as it would have', async () => {
  const full = fs.openSync('/dev/full', 'w');
  onTestFinished(() => fs.closeSync(full));
  const child = spawn(process.execPath, [MAIN, 'umount', '/tmp'], {
    stdio: ['ignore', full, full],
  });
  expect(await once(child, 'exit')).toEqual([2, null]);
});
