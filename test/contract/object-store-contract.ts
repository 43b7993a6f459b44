import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ObjectInfo, type ObjectStore, StoreError } from '../../src/store/object-store.ts';
import { collect, readBody } from '../store/read-body.ts';

/** What an implementation brings along. */
export interface StoreUnderTest {
  readonly store: ObjectStore;
  /** Whether whole objects come with their CRC-32C. */
  readonly hasChecksums: boolean;
  dispose(): Promise<void>;
}

const SIZE_BYTES = 3_000_000;
const bytesOf = (length: number) =>
  Uint8Array.from({ length }, (_, index) => (index ^ (index >> 8) ^ (index >> 16)) & 255);

/** What every ObjectStore must do. Attach an implementation by calling this in a test file. */
export function objectStoreContract(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`object store: ${name}`, () => {
    const { signal } = new AbortController();
    const big = bytesOf(SIZE_BYTES);
    let underTest: StoreUnderTest;
    let store: ObjectStore;

    beforeAll(async () => {
      underTest = await open();
      store = underTest.store;
      await store.put('vol/big', big, signal);
    });
    afterAll(async () => {
      await store?.close();
      await underTest?.dispose();
    });

    test('gives back what was put', async () => {
      const body = await store.get('vol/big', undefined, signal);
      expect(body.sizeBytes).toBe(SIZE_BYTES);
      expect(body.crc32c !== undefined).toBe(underTest.hasChecksums);
      expect(Buffer.compare(await readBody(body), big)).toBe(0);
    });

    test.each([
      [0, 1],
      [0, SIZE_BYTES],
      [1, SIZE_BYTES - 1],
      [65_535, 131_074],
      [SIZE_BYTES - 1, 1],
    ])('gives the range from %d of %d bytes', async (offset, length) => {
      const body = await store.get('vol/big', { offset, length }, signal);
      expect(body.sizeBytes).toBe(length);
      expect(body.crc32c).toBeUndefined();
      const wanted = big.subarray(offset, offset + length);
      expect(Buffer.compare(await readBody(body), wanted)).toBe(0);
    });

    test('reads into place, where it offers to, and tells how far it is', async () => {
      const range = { offset: 100_000, length: 2_000_000 };
      for (let round = 0; round < 3; round += 1) {
        const body = await store.get('vol/big', range, signal);
        if (body.readInto === undefined) return;
        const into = Buffer.alloc(range.length);
        const ready: number[] = [];
        await body.readInto(into, (count) => ready.push(count));
        expect(ready).toEqual(ready.toSorted((a, b) => a - b));
        expect(ready.at(-1)).toBe(range.length);
        expect(into.equals(big.subarray(range.offset, range.offset + range.length))).toBe(true);
      }
    });

    test('does not touch the place any more when it was aborted', async () => {
      const aborting = new AbortController();
      const body = await store.get('vol/big', undefined, aborting.signal);
      if (body.readInto === undefined) return;
      const into = Buffer.alloc(SIZE_BYTES);
      const reading = body.readInto(into, () => aborting.abort(new Error('enough')));
      await expect(reading).rejects.toThrow('enough');
      expect(into.subarray(SIZE_BYTES / 2).every((byte) => byte === 0)).toBe(true);
    });

    test.each([
      [SIZE_BYTES - 1, 2],
      [SIZE_BYTES, 1],
      [SIZE_BYTES * 2, 10],
    ])(
      'refuses the range from %d of %d bytes, which is not in the object',
      async (offset, length) => {
        const failure = await failureOf(store.get('vol/big', { offset, length }, signal));
        expect(failure).toMatchObject({ code: 'corrupt', retryable: false });
        expect(failure.message).toContain('vol/big');
      },
    );

    test('keeps an empty object', async () => {
      await store.put('vol/empty', new Uint8Array(0), signal);
      const body = await store.get('vol/empty', undefined, signal);
      expect(body.sizeBytes).toBe(0);
      expect((await readBody(body)).byteLength).toBe(0);
    });

    test('replaces an object as a whole', async () => {
      await store.put('vol/twice', bytesOf(1000), signal);
      await store.put('vol/twice', bytesOf(10), signal);
      const body = await store.get('vol/twice', undefined, signal);
      expect(Buffer.compare(await readBody(body), bytesOf(10))).toBe(0);
    });

    test('an object that is not there', async () => {
      const failure = await failureOf(store.get('vol/nothing', undefined, signal));
      expect(failure).toMatchObject({ code: 'not-found', retryable: false });
      expect(failure.message).toContain('vol/nothing');
      expect(
        await failureOf(store.get('vol/nothing', { offset: 0, length: 1 }, signal)),
      ).toMatchObject({ code: 'not-found' });
      expect(await store.head('vol/nothing', signal)).toBeUndefined();
      await store.delete('vol/nothing', signal);
    });

    test('head tells the size and when it was written', async () => {
      const info = await store.head('vol/big', signal);
      expect(info).toMatchObject({ key: 'vol/big', sizeBytes: SIZE_BYTES });
      expect(Math.abs((info?.modifiedAtMs ?? 0) - Date.now())).toBeLessThan(600_000);
    });

    test('what was deleted is gone', async () => {
      await store.put('vol/short-lived', bytesOf(5), signal);
      await store.delete('vol/short-lived', signal);
      expect(await store.head('vol/short-lived', signal)).toBeUndefined();
    });

    test('lists by prefix in the order of keys', async () => {
      const keys = ['l/a', 'l/a/1', 'l/a-b', 'l/b c+d%', 'l/b/2', 'l/ü', 'm'];
      // A directory cannot also be a file, so `l/a` is left out where keys are paths.
      const possible = keys.filter((key) => key !== 'l/a');
      for (const key of possible) await store.put(key, bytesOf(key.length), signal);
      const expected = possible.filter((key) => key.startsWith('l/')).sort();
      expect((await listed(store, 'l/')).map(({ key }) => key)).toEqual(expected);
      expect((await listed(store, 'l/b')).map(({ key }) => key)).toEqual(['l/b c+d%', 'l/b/2']);
      expect((await listed(store, 'l/a-b'))[0]).toMatchObject({ key: 'l/a-b', sizeBytes: 5 });
      expect(await listed(store, 'nowhere/')).toEqual([]);
    });

    test('a body that is left early, or never read, holds nothing up', async () => {
      for (let round = 0; round < 20; round += 1) {
        const body = await store.get('vol/big', undefined, signal);
        const chunks = body.chunks[Symbol.asyncIterator]();
        if (round % 2 === 0) await chunks.next();
        await chunks.return?.();
        expect((await chunks.next()).done).toBe(true);
      }
      const body = await store.get('vol/big', undefined, signal);
      expect(Buffer.compare(await readBody(body), big)).toBe(0);
    });

    test('an aborted signal ends a call before, and a body while it is read', async () => {
      const reason = new Error('no longer wanted');
      await expect(store.get('vol/big', undefined, AbortSignal.abort(reason))).rejects.toBe(reason);
      const controller = new AbortController();
      const body = await store.get('vol/big', undefined, controller.signal);
      const chunks = body.chunks[Symbol.asyncIterator]();
      await chunks.next();
      controller.abort(reason);
      await expect(chunks.next()).rejects.toBe(reason);
    });

    test('answers many readers at once', async () => {
      const reads = Array.from({ length: 40 }, async (_, index) => {
        const range = { offset: index * 70_000, length: 70_000 };
        const body = await store.get('vol/big', range, signal);
        const wanted = big.subarray(range.offset, range.offset + range.length);
        return Buffer.compare(await readBody(body), wanted);
      });
      expect(new Set(await Promise.all(reads))).toEqual(new Set([0]));
    });
  });
}

async function failureOf(work: Promise<unknown>): Promise<StoreError> {
  const failure = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(StoreError);
  return failure as StoreError;
}

async function listed(store: ObjectStore, prefix: string): Promise<ObjectInfo[]> {
  return collect(store.list(prefix, new AbortController().signal));
}
