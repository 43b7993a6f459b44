import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { testEngine } from '../contract/meta-engine-options.ts';
import { loadFixture } from '../servers/fixtures.ts';
import { hasStock } from '../servers/stock.ts';

const run = promisify(execFile);
const signal = new AbortController().signal;
const INFO = {
  Version: '1.4.1+2026-01-01.cachemesh',
  HostName: 'interop-host',
  MountPoint: '/mnt/interop',
  MountTime: '2026-01-02T03:04:05Z',
  ProcessID: 4711,
};

// Needs the original client on the PATH, and says so by being skipped.
describe.skipIf(!hasStock)('the original client beside us', () => {
  it.each(['acl', 'sqlite'] as const)('sees our session in the volume %s', async (name) => {
    const fixture = await loadFixture(name);
    const engine = testEngine(fixture.metaUrl);
    await engine.start();
    const sid = await engine.openSession(INFO, signal);
    const { stdout } = await run('juicefs', ['status', fixture.metaUrl]);
    const status = JSON.parse(stdout) as { Sessions: Record<string, unknown>[] };
    expect(status.Sessions).toHaveLength(1);
    expect(status.Sessions[0]).toMatchObject({ Sid: Number(sid), ...INFO });
    await engine.closeSession(sid, signal);
    const after = await run('juicefs', ['status', fixture.metaUrl]);
    expect((JSON.parse(after.stdout) as { Sessions: unknown[] }).Sessions ?? []).toEqual([]);
    await engine.stop();
    await fixture.stop();
  });
});
