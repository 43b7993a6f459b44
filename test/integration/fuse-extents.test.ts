import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileType } from '../../src/posix/attr.ts';
import { LeaseKind, LeaseTable } from '../../src/runtime/lease-table.ts';
import { loadLibc } from '../../src/runtime/system/libc.ts';
import type { SharedMemory } from '../../src/runtime/system/shared-memory.ts';
import { allocateSharedMemory } from '../../src/runtime/system/shared-memory.ts';
import type { MemoryNode } from '../fuse/memory-volume.ts';
import { MemoryVolume } from '../fuse/memory-volume.ts';
import type { TestMount } from './fuse-mount.ts';
import { cannotMount, mountVolume, python, shell } from './fuse-mount.ts';

const MODES = [
  { mode: 'with libc', libc: loadLibc() },
  { mode: 'without native code', libc: undefined },
];
const UNIT = 256 * 1024;
const SLOTS = 6;
const UNITS = 20;
const SIZE = UNITS * UNIT - 12_345;
const FILE_ID = 0x8000_0001;

/** Reads random ranges of the first file with O_DIRECT and compares them with the second one. */
const COMPARE = `
import mmap,os,random,sys,time
f=os.open(sys.argv[1],os.O_RDONLY|os.O_DIRECT); t=os.open(sys.argv[2],os.O_RDONLY)
size=os.fstat(t).st_size; random.seed(int(sys.argv[3])); m=mmap.mmap(-1,1<<20); n=0; end=time.time()+float(sys.argv[4])
while time.time()<end:
  want=512*random.randint(1,1<<random.randint(0,11)); at=512*random.randrange(size//512+1)
  got=os.preadv(f,[memoryview(m)[:want]],at)
  if m[:got]!=os.pread(t,want,at): print('wrong bytes at',at,want,got); sys.exit(1)
  n+=1
print(n)`;

describe.skipIf(cannotMount).each(MODES)('extents $mode', ({ libc }) => {
  const content = randomBytes(SIZE);
  let folder: string;
  let copy: string;
  let memory: SharedMemory;
  let volume: MemoryVolume;
  let file: MemoryNode;
  let mount: TestMount;
  let descriptor: number;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), `cachemesh-${process.env['CACHEMESH_TEST_RUN']}-copy-`));
    copy = join(folder, 'copy');
    writeFileSync(copy, content);
    descriptor = openSync(copy, 'r');
    memory = allocateSharedMemory(libc, SLOTS * UNIT);
    volume = new MemoryVolume();
    file = volume.add('file', FileType.file, content);
    file.fileId = FILE_ID;
    const leases = LeaseTable.create(SLOTS + 1);
    mount = await mountVolume(volume, { libc, memory, leases, unitBytes: UNIT, workers: 3 });
  });

  afterEach(async () => {
    await mount.close();
    memory.free();
    closeSync(descriptor);
    await rm(folder, { recursive: true });
  });

  const path = () => join(mount.mountpoint, 'file');
  const readsBy = (by: string) => mount.metrics.value('fuse_reads_total', { by });
  const unitBytesOf = (unit: number) => content.subarray(unit * UNIT, (unit + 1) * UNIT);

  function publish(unit: number, slot: number, notify = false): void {
    const bytes = unitBytesOf(unit);
    memory.bytes.set(bytes, slot * UNIT);
    const lease = mount.leases.publish(slot, {
      kind: LeaseKind.memory,
      location: memory.base + slot * UNIT,
      lengthBytes: bytes.byteLength,
    });
    mount.driver.extents.publish({
      fileId: FILE_ID,
      fileOffset: unit * UNIT,
      lengthBytes: bytes.byteLength,
      lease,
      leaseOffset: 0,
      endsFile: unit === UNITS - 1,
      notify,
    });
  }

  it('are served by threads while slots are retired and used for other bytes', async () => {
    const slots = Array.from({ length: SLOTS }, () => 'free' as 'free' | 'used' | 'retired');
    let turns = 0;
    const turn = () => {
      turns += 1;
      const slot = turns % SLOTS;
      if (slots[slot] === 'used') {
        slots[slot] = mount.leases.retire(slot) ? 'free' : 'retired';
      } else if (slots[slot] === 'retired' && !mount.leases.isPinned(slot)) slots[slot] = 'free';
      if (slots[slot] !== 'free') return;
      // Whoever still read the slot would now see garbage.
      memory.bytes.fill(0xee, slot * UNIT, (slot + 1) * UNIT);
      publish((turns * 7) % UNITS, slot);
      slots[slot] = 'used';
    };
    const timer = setInterval(turn, 1);
    const readers = [1, 2].map((seed) => python(COMPARE, path(), copy, String(seed), '3'));
    const counts = await Promise.all(readers).finally(() => clearInterval(timer));
    for (const count of counts) expect(Number(count)).toBeGreaterThan(10);
    expect(turns).toBeGreaterThan(100);
    await expect.poll(() => readsBy('worker')).toBeGreaterThan(10);
    expect(readsBy('main')).toBeGreaterThan(10);
  });

  it('that cover a file are never asked of the main thread', async () => {
    const lease = mount.leases.publish(SLOTS, {
      kind: LeaseKind.file,
      location: descriptor,
      lengthBytes: SIZE,
    });
    for (let unit = 0; unit < UNITS; unit++) {
      mount.driver.extents.publish({
        fileId: FILE_ID,
        fileOffset: unit * UNIT,
        lengthBytes: unitBytesOf(unit).byteLength,
        lease,
        leaseOffset: unit * UNIT,
        endsFile: unit === UNITS - 1,
        notify: unit < 2,
      });
    }
    // One unit from memory, so that a reply has parts of both kinds.
    publish(3, 0);
    const direct = await shell(['dd', `if=${path()}`, 'bs=1M', 'iflag=direct', 'status=none']);
    expect(direct.equals(content)).toBe(true);
    const inUnits = ['dd', `if=${path()}`, `bs=${UNIT}`, 'iflag=direct', 'status=none'];
    expect((await shell(inUnits)).equals(content)).toBe(true);
    expect((await shell(['cat', path()])).equals(content)).toBe(true);
    expect(Number(await python(COMPARE, path(), copy, '3', '1'))).toBeGreaterThan(10);
    expect(readsBy('main')).toBe(0);
    expect(volume.touches.map(({ offset }) => offset)).toEqual([0, UNIT]);
    expect(mount.metrics.value('bug_total')).toBe(0);
    expect(volume.touches.every(({ fh }) => fh >> 32n === BigInt(FILE_ID))).toBe(true);
  });

  it('of a file that is shorter than its lease says fall back to the main thread', async () => {
    const empty = join(folder, 'empty');
    writeFileSync(empty, '');
    const fd = openSync(empty, 'r');
    const lease = mount.leases.publish(SLOTS, {
      kind: LeaseKind.file,
      location: fd,
      lengthBytes: UNIT,
    });
    mount.driver.extents.publish({
      fileId: FILE_ID,
      fileOffset: 0,
      lengthBytes: UNIT,
      lease,
      leaseOffset: 0,
      endsFile: false,
      notify: false,
    });
    for (const size of [4096, UNIT]) {
      const command = [
        'dd',
        `if=${path()}`,
        `bs=${size}`,
        'count=2',
        'iflag=direct',
        'status=none',
      ];
      expect((await shell(command)).equals(content.subarray(0, 2 * size))).toBe(true);
    }
    expect(readsBy('main')).toBeGreaterThan(0);
    expect(mount.leases.isPinned(SLOTS)).toBe(false);
    closeSync(fd);
  });

  it('with gaps are not taken for the end of the file', async () => {
    const bytes = unitBytesOf(0).subarray(0, 8192);
    memory.bytes.set(bytes);
    const lease = mount.leases.publish(0, {
      kind: LeaseKind.memory,
      location: memory.base,
      lengthBytes: 8192,
    });
    const part = { fileId: FILE_ID, lease, endsFile: false, notify: false };
    mount.driver.extents.publish({
      ...part,
      fileOffset: 4096,
      lengthBytes: 4096,
      leaseOffset: 4096,
    });
    const command = ['dd', `if=${path()}`, 'bs=4096', 'count=4', 'iflag=direct', 'status=none'];
    expect((await shell(command)).equals(content.subarray(0, 16_384))).toBe(true);
    await expect.poll(() => readsBy('worker')).toBe(1);
    expect(readsBy('main')).toBe(3);
  });
});
