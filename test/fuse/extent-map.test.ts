import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Extent } from '../../src/fuse/driver.ts';
import { ExtentMap, FoundExtent } from '../../src/fuse/extent-map.ts';

const UNIT = 1000;

function extent(fields: Partial<Extent> = {}): Extent {
  return {
    fileId: 1,
    fileOffset: 0,
    lengthBytes: UNIT,
    lease: { slot: 3, generation: 4 },
    leaseOffset: 0,
    endsFile: false,
    notify: false,
    ...fields,
  };
}

describe('ExtentMap', () => {
  it('finds what was published, in another view too', () => {
    const map = ExtentMap.create(UNIT, 64);
    const lease = { slot: 7, generation: -2_147_483_648 };
    const fileId = 0xffff_fffe;
    map.publish(
      extent({ fileId, fileOffset: 5250, lengthBytes: 700, lease, leaseOffset: 9, endsFile: true }),
    );
    const found = new FoundExtent();
    expect(ExtentMap.attach(map.shared).find(fileId, 5, found)).toBe(true);
    expect(found).toMatchObject({
      ...lease,
      leaseOffset: 9,
      startInUnit: 250,
      endInUnit: 950,
      endsFile: true,
    });
    expect(map.find(fileId, 4, found)).toBe(false);
    expect(map.find(1, 5, found)).toBe(false);
  });

  it('replaces and retracts by unit', () => {
    const map = ExtentMap.create(UNIT, 64);
    const found = new FoundExtent();
    map.publish(extent({ leaseOffset: 1 }));
    map.publish(extent({ leaseOffset: 2, fileOffset: 10, lengthBytes: 10 }));
    expect(map.find(1, 0, found)).toBe(true);
    expect(found).toMatchObject({ leaseOffset: 2, startInUnit: 10, endInUnit: 20 });
    map.retract(1, 999);
    expect(map.find(1, 0, found)).toBe(false);
    map.retract(1, 5000);
  });

  it('gives a notification once per publication', () => {
    const map = ExtentMap.create(UNIT, 64);
    const [first, second] = [new FoundExtent(), new FoundExtent()];
    map.publish(extent({ notify: true }));
    map.find(1, 0, first);
    map.find(1, 0, second);
    expect([map.takeNotify(first), map.takeNotify(second)]).toEqual([true, false]);
    map.publish(extent({ notify: true }));
    // Found before the second publication, so it says nothing about that.
    expect(map.takeNotify(first)).toBe(false);
    map.find(1, 0, first);
    expect(map.takeNotify(first)).toBe(true);
    map.publish(extent({ notify: false }));
    map.find(1, 0, first);
    expect(map.takeNotify(first)).toBe(false);
  });

  it('keeps nothing beyond what 32 bits of units can name', () => {
    const map = ExtentMap.create(UNIT, 64);
    map.publish(extent({ fileOffset: 2 ** 32 * UNIT }));
    map.retract(1, 2 ** 32 * UNIT);
    expect(map.find(1, 0, new FoundExtent())).toBe(false);
    map.publish(extent({ fileOffset: (2 ** 32 - 1) * UNIT }));
    expect(map.find(1, 2 ** 32 - 1, new FoundExtent())).toBe(true);
  });

  it('refuses extents that cross a unit', () => {
    const map = ExtentMap.create(UNIT, 64);
    expect(() => map.publish(extent({ fileOffset: 1 }))).toThrow(/one unit/);
  });

  it('may lose entries, and never invents one', () => {
    const action = fc.record({
      retract: fc.boolean(),
      fileId: fc.integer({ min: 1, max: 20 }),
      unit: fc.integer({ min: 0, max: 20 }),
      leaseOffset: fc.nat(1000),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const map = ExtentMap.create(UNIT, 16);
        const model = new Map<string, number>();
        for (const { retract, fileId, unit, leaseOffset } of actions) {
          if (retract) map.retract(fileId, unit * UNIT);
          else map.publish(extent({ fileId, fileOffset: unit * UNIT, leaseOffset }));
          if (retract) model.delete(`${fileId}/${unit}`);
          else model.set(`${fileId}/${unit}`, leaseOffset);
        }
        const found = new FoundExtent();
        for (let fileId = 1; fileId <= 20; fileId++) {
          for (let unit = 0; unit <= 20; unit++) {
            if (!map.find(fileId, unit, found)) continue;
            expect(model.get(`${fileId}/${unit}`)).toBe(found.leaseOffset);
          }
        }
      }),
    );
  });

  it('shows readers in other threads whole extents only', async () => {
    const map = ExtentMap.create(2 ** 20, 8);
    const shared = new Int32Array(new SharedArrayBuffer(8));
    const [STOP, SEEN] = [0, 1];
    const url = new URL('./extent-map-reader.ts', import.meta.url);
    const readers = [0, 1].map(
      () => new Worker(url, { workerData: { map: map.shared, control: shared.buffer } }),
    );
    const results = readers.map(
      (reader) =>
        new Promise<{ torn: number; taken: number }>((resolve, reject) => {
          reader.once('message', resolve);
          reader.once('error', reject);
        }),
    );
    let published = 0;
    // 24 keys in 8 entries: entries change hands all the time. All fields follow from one number.
    while (Atomics.load(shared, SEEN) < 20_000) {
      for (let round = 0; round < 200; round++, published++) {
        const value = published % 1_000_000;
        map.publish({
          fileId: 1 + (published % 24),
          fileOffset: 2 ** 20 * 5 + value,
          lengthBytes: 1000,
          lease: { slot: value + 1, generation: value + 2 },
          leaseOffset: value + 3,
          endsFile: value % 2 === 0,
          notify: true,
        });
      }
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    Atomics.store(shared, STOP, 1);
    const found = await Promise.all(results);
    expect(found.reduce((sum, { torn }) => sum + torn, 0)).toBe(0);
    expect(found.reduce((sum, { taken }) => sum + taken, 0)).toBeLessThanOrEqual(published);
  }, 30_000);
});
