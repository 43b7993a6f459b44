import assert from 'node:assert/strict';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../runtime/clock.ts';
import { LeaseTable } from '../../runtime/lease-table.ts';
import { loadLibc } from '../../runtime/system/libc.ts';
import { ExtentMap } from '../extent-map.ts';
import { ClosedHandles } from './closed-handles.ts';
import { ExtentReader } from './extent-reader.ts';
import { NativeDevice } from './native-device.ts';
import { NodeDevice } from './node-device.ts';
import { RequestLoop } from './request-loop.ts';
import type { RequestShortcut, ShortcutModule } from './request-shortcut.ts';
import type { WorkerDevice } from './worker-device.ts';
import type { DeviceWorkerData, DeviceWorkerMessage } from './worker-messages.ts';
import { WorkerStats } from './worker-stats.ts';

/*
 * Entry of a worker thread that serves the FUSE device. It blocks in read(2) all its life, so its
 * event loop never turns; it ends when the mount is gone.
 */
const data = workerData as DeviceWorkerData;
assert(parentPort !== null);
const port = parentPort;
const post = (message: DeviceWorkerMessage) => port.postMessage(message);
const device = openDevice(data);
const loop = new RequestLoop({
  device,
  shortcut: await openShortcut(data),
  reader: new ExtentReader(ExtentMap.attach(data.extents), LeaseTable.attach(data.leases)),
  closed: ClosedHandles.attach(data.closed),
  stats: new WorkerStats(data.stats).slice(data.index),
  isReadOnly: data.isReadOnly,
  clock: systemClock,
  post,
});
post('ready');
loop.run();
device.close();
post('unmounted');

async function openShortcut({
  shortcut,
  index,
}: DeviceWorkerData): Promise<RequestShortcut | undefined> {
  if (shortcut === undefined) return undefined;
  const module = (await import(shortcut.url)) as ShortcutModule;
  return module.openShortcut(shortcut.data, index);
}

function openDevice({ fd, useLibc, memory }: DeviceWorkerData): WorkerDevice {
  if (!useLibc) return new NodeDevice(fd, memory);
  const libc = loadLibc();
  assert(libc !== undefined, 'the main thread has libc');
  return new NativeDevice(fd, libc);
}
