import Table from 'cli-table3';
import { createMetaEngine } from '../meta/create-engine.ts';
import type { VolumeUsage } from '../meta/engine.ts';
import type { SessionRecord } from '../meta/session.ts';
import type { VolumeSetting } from '../meta/setting.ts';
import { systemClock } from '../runtime/clock.ts';
import { isoTime } from '../runtime/iso-time.ts';
import { silentLogger } from '../runtime/logger.ts';
import { memoryMetrics } from '../runtime/metrics.ts';
import { systemRandom } from '../runtime/random.ts';
import { shownSetting } from './shown-setting.ts';

const DEADLINE_MS = 10_000;

/** Prints a volume, its sessions and the members of its cache groups, straight from the metadata. */
export async function printStatus(metaUrl: string, options: { json: boolean }): Promise<void> {
  const meta = createMetaEngine(metaUrl, {
    env: process.env,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: memoryMetrics(),
    deadlineMs: DEADLINE_MS,
  });
  await meta.start();
  try {
    const signal = new AbortController().signal;
    const setting = await meta.loadSetting(signal);
    const usage = await meta.usage(signal);
    const sessions = await meta.listSessions(signal);
    const text = options.json
      ? JSON.stringify(statusOf(setting, usage, sessions), undefined, 2)
      : tablesOf(setting, usage, sessions);
    process.stdout.write(`${text}\n`);
  } finally {
    await meta.stop();
  }
}

function statusOf(setting: VolumeSetting, usage: VolumeUsage, sessions: readonly SessionRecord[]) {
  return {
    volume: {
      ...shownSetting(setting),
      usedBytes: usage.usedBytes.toString(),
      inodes: usage.inodes.toString(),
    },
    sessions: sessions.map(({ sid, expiresAtMs, info }) => ({
      sid: sid.toString(),
      expires: isoTime(expiresAtMs),
      expired: expiresAtMs < systemClock.wallMs(),
      ...info,
    })),
  };
}

function tablesOf(
  setting: VolumeSetting,
  usage: VolumeUsage,
  sessions: readonly SessionRecord[],
): string {
  const { volume } = statusOf(setting, usage, sessions);
  const about = new Table({ head: ['volume', setting.name] });
  for (const [name, value] of Object.entries(volume)) about.push([name, String(value)]);
  const list = new Table({
    head: ['session', 'host', 'mount point', 'version', 'expires', 'group', 'weight', 'peer'],
  });
  for (const { sid, expiresAtMs, info } of sessions) {
    const member = info?.CacheMesh;
    list.push([
      sid.toString(),
      info?.HostName ?? '',
      info?.MountPoint ?? '',
      info?.Version ?? '',
      isoTime(expiresAtMs),
      member?.Group ?? '',
      member === undefined ? '' : String(member.NoSharing ? 'no sharing' : member.Weight),
      member?.PeerId ?? '',
    ]);
  }
  return `${about.toString()}\n${list.toString()}`;
}
