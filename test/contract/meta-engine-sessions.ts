import { expect, it } from 'vitest';
import type { MetaEngine } from '../../src/meta/engine.ts';
import type { SessionInfo } from '../../src/meta/session.ts';
import type { ContractVolume } from './meta-engine-contract.ts';
import { NO_SIGNAL } from './meta-engine-manifest.ts';

const INFO: SessionInfo = {
  Version: '1.4.1+2026-01-01.cachemesh',
  HostName: 'höst',
  IPAddrs: ['192.0.2.1', '2001:db8::1'],
  MountPoint: '/mnt/x',
  MountTime: '2026-01-02T03:04:05.000000006Z',
  ProcessID: 4711,
  CacheMesh: {
    Group: 'group',
    PeerId: '12D3KooWpeer',
    Addrs: ['/ip4/192.0.2.1/tcp/7001'],
    Weight: 100,
    NoSharing: false,
  },
};
const TTL_MS = 60_000;

/** What every metadata engine promises about sessions. */
export function metaSessionsContract(
  given: () => { volume: ContractVolume; engine: MetaEngine },
): void {
  it('opens, lists, renews and closes sessions, and changes nothing else', async () => {
    const { volume } = given();
    let nowMs = 1_700_000_000_000;
    const engine = volume.createEngine({ wallMs: () => nowMs });
    await engine.start();
    const before = await volume.snapshot();
    const first = await engine.openSession(INFO, NO_SIGNAL);
    const second = await engine.openSession({ ...INFO, HostName: 'other' }, NO_SIGNAL);
    expect(second).toBeGreaterThan(first);
    expect(await sessionsBySid(engine)).toEqual({
      [String(first)]: { expiresAtMs: nowMs + TTL_MS, info: INFO },
      [String(second)]: { expiresAtMs: nowMs + TTL_MS, info: { ...INFO, HostName: 'other' } },
    });

    nowMs += 12_000;
    await engine.refreshSession(first, { ...INFO, MountPoint: '/mnt/y' }, NO_SIGNAL);
    expect((await sessionsBySid(engine))[String(first)]).toEqual({
      expiresAtMs: nowMs + TTL_MS,
      info: { ...INFO, MountPoint: '/mnt/y' },
    });

    await engine.closeSession(second, NO_SIGNAL);
    await engine.closeSession(second, NO_SIGNAL);
    expect(Object.keys(await sessionsBySid(engine))).toEqual([String(first)]);
    await engine.closeSession(first, NO_SIGNAL);
    expect(await engine.listSessions(NO_SIGNAL)).toEqual([]);
    expect(await volume.snapshot()).toBe(before);
    await engine.stop();
  });

  it('makes a session anew that somebody has cleaned up', async () => {
    const { engine } = given();
    const sid = await engine.openSession(INFO, NO_SIGNAL);
    await engine.closeSession(sid, NO_SIGNAL);
    await engine.refreshSession(sid, INFO, NO_SIGNAL);
    expect((await sessionsBySid(engine))[String(sid)]?.info).toEqual(INFO);
    await engine.closeSession(sid, NO_SIGNAL);
  });

  it('gives each of many sessions an id of its own', async () => {
    const { engine } = given();
    const opened = Array.from({ length: 20 }, () => engine.openSession(INFO, NO_SIGNAL));
    const sids = await Promise.all(opened);
    expect(new Set(sids).size).toBe(20);
    await Promise.all(sids.map((sid) => engine.closeSession(sid, NO_SIGNAL)));
    expect(await engine.listSessions(NO_SIGNAL)).toEqual([]);
  });
}

async function sessionsBySid(engine: MetaEngine) {
  const records = await engine.listSessions(NO_SIGNAL);
  return Object.fromEntries(
    records.map(({ sid, expiresAtMs, info }) => [String(sid), { expiresAtMs, info }]),
  );
}
