import { homedir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { defaultCacheDir, defaultLog } from '../../src/daemon/mount-config.ts';

test('without root cache and log lie where this user can write', () => {
  expect([defaultCacheDir(0), defaultLog(0)]).toEqual(['/var/jfsCache', '/var/log/cachemesh.log']);
  for (const place of [defaultCacheDir(1000), defaultLog(1000)]) {
    expect(place.startsWith(join(homedir(), '.juicefs/'))).toBe(true);
  }
});
