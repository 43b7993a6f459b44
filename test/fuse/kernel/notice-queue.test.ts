import { closeSync, openSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { NoticeQueue } from '../../../src/fuse/kernel/notice-queue.ts';
import { toIno } from '../../../src/posix/ino.ts';
import { memoryMetrics } from '../../../src/runtime/metrics.ts';
import { recordingLogger } from '../../servers/recording-logger.ts';
import { manualClock } from '../../store/manual-clock.ts';

const PENDING_MAX = 65_536;
const BATCH = 64;
const MORE = 1_000;

test('when too many invalidations wait each one more is counted, and the log is not filled with them', async () => {
  const fd = openSync('/dev/null', 'w');
  const metrics = memoryMetrics();
  const { logger, lines } = recordingLogger();
  const notices = new NoticeQueue({ clock: manualClock(), logger, metrics });
  notices.start(fd, () => undefined);
  onTestFinished(async () => {
    await notices.stop();
    closeSync(fd);
  });
  // The first batch goes to the thread, which does not answer within this turn.
  for (let ino = 1; ino <= BATCH + PENDING_MAX + MORE; ino += 1) {
    notices.invalidateInode(toIno(BigInt(ino)), 0, 0);
  }
  const dropped = metrics.value('fuse_invalidations_dropped_total');
  expect(dropped).toBeGreaterThanOrEqual(MORE);
  expect(lines).toHaveLength(1);
});
