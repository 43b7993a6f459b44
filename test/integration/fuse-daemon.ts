import { closeSync, readdirSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { KernelDriver } from '../../src/fuse/kernel/kernel-driver.ts';
import { FileType } from '../../src/posix/attr.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { LeaseTable } from '../../src/runtime/lease-table.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { loadLibc } from '../../src/runtime/system/libc.ts';
import { MemoryVolume } from '../fuse/memory-volume.ts';

/*
 * A mount in a process of its own, to be killed. Prints `mounted`, `reading` when the read that
 * never ends has begun, `fatal` when a thread has died. The line `close-device` breaks the device,
 * `throw` and `exit` end the process.
 */
const mountpoint = process.argv[2] as string;
const volume = new MemoryVolume();
volume.add('text', FileType.file, 'alive\n');
volume.add('slow', FileType.file, 'x').onRead = () => {
  console.log('reading');
  return new Promise(() => undefined);
};
const driver = new KernelDriver({
  operations: volume,
  mountpoint,
  fsname: 'cachemesh:child',
  unitBytes: 65_536,
  leases: LeaseTable.create(1),
  memory: undefined,
  libc: loadLibc(),
  acl: false,
  clock: systemClock,
  logger: silentLogger,
  metrics: memoryMetrics(),
  onFatal: () => {
    console.log('fatal');
    process.exit(3);
  },
});
await driver.start();
createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'close-device') closeDevice();
  if (line === 'exit') process.exit(0);
  if (line === 'throw') throw new Error('a bug');
});
console.log('mounted');

function closeDevice(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${name}`) === '/dev/fuse') closeSync(Number(name));
    } catch {
      // The descriptor of the listing itself is gone.
    }
  }
  console.log('device closed');
}
