import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { type BlockFormat, encodeBlock } from '../../src/store/block-format.ts';
import { BlockOrigin } from '../../src/store/block-origin.ts';
import { BlockUpload } from '../../src/store/block-upload.ts';
import { DataKey } from '../../src/store/data-key.ts';
import { compressedBytesMax } from '../../src/store/decompress.ts';
import { encryptionOverheadBytes } from '../../src/store/decrypt-object.ts';
import { FileStore } from '../../src/store/file-store.ts';
import { StoreError } from '../../src/store/object-store.ts';
import { makeTempDir } from '../servers/temp.ts';
import { manualClock } from './manual-clock.ts';

const dataKey = new DataKey(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey);
const NAMING = { volumeName: 'vol', hashPrefix: false };
const COMPRESSIONS = ['none', 'lz4', 'zstd'] as const;
const ENCRYPTIONS = [undefined, 'aes256gcm-rsa', 'chacha20-rsa'] as const;
const FORMATS: BlockFormat[] = COMPRESSIONS.flatMap((compression) =>
  ENCRYPTIONS.map((algo) => ({
    naming: NAMING,
    compression,
    encryption: algo && { dataKey, algo },
  })),
);
const { signal } = new AbortController();

/** Bytes of all kinds: chance, one value, short repetitions. */
const plainBytes = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 5_000 }),
  fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 5_000 }))
    .map(([part, times]) => new Uint8Array(Buffer.concat(Array(times).fill(part)))),
);

describe.each(FORMATS)('blocks of a volume with $compression, $encryption.algo', (format) => {
  test('come back as they were stored', { timeout: 60_000 }, async () => {
    const store = new FileStore({
      bucket: `${await makeTempDir('blocks')}/`,
      random: systemRandom,
    });
    const shared = {
      ...{ store, format, clock: systemClock, random: systemRandom },
      ...{ logger: silentLogger, metrics: memoryMetrics() },
    };
    const upload = new BlockUpload({ ...shared, ioRetries: 0 });
    const origin = new BlockOrigin({ ...shared, ioRetries: 0 });
    let sliceId = 0n;
    await fc.assert(
      fc.asyncProperty(plainBytes, async (plain) => {
        sliceId += 1n;
        const key = { sliceId, index: 0, sizeBytes: plain.byteLength };
        await upload.put(key, plain, signal);
        const into = new Uint8Array(plain.byteLength);
        const range = { offset: 0, length: plain.byteLength };
        await origin.fill(key, range, into, { signal, onProgress: () => undefined });
        expect(Buffer.compare(into, plain)).toBe(0);
        await upload.remove(key, signal);
      }),
      { numRuns: 40 },
    );
    const left = await Array.fromAsync(store.list('vol/', signal));
    expect(left).toEqual([]);
  });

  test('are never longer than stock clients accept', async () => {
    const plain = systemRandom.bytes(1 << 20);
    const overhead = format.encryption ? encryptionOverheadBytes(dataKey) : 0;
    const object = await encodeBlock(format, plain, systemRandom);
    expect(object.byteLength).toBeLessThanOrEqual(compressedBytesMax(plain.byteLength) + overhead);
  });
});

test('no two objects of an encrypted volume are alike', async () => {
  const format = FORMATS.find(({ encryption }) => encryption !== undefined) as BlockFormat;
  const plain = new Uint8Array(1000);
  const [one, two] = [
    await encodeBlock(format, plain, systemRandom),
    await encodeBlock(format, plain, systemRandom),
  ];
  expect(Buffer.compare(one, two)).not.toBe(0);
});

describe('a block that cannot be stored', () => {
  function failing(errors: (Error | undefined)[]) {
    const clock = manualClock();
    const metrics = memoryMetrics();
    let puts = 0;
    const store = new FileStore({ bucket: '/nowhere/', random: systemRandom });
    store.put = async () => {
      puts += 1;
      const error = errors.shift();
      if (error !== undefined) throw error;
    };
    const format = FORMATS[0] as BlockFormat;
    const surroundings = { clock, random: systemRandom, logger: silentLogger, metrics };
    const upload = new BlockUpload({ store, format, ioRetries: 3, ...surroundings });
    const done = upload.put({ sliceId: 1n, index: 0, sizeBytes: 1 }, new Uint8Array(1), signal);
    return { done, clock, metrics, puts: () => puts };
  }
  const away = () => new StoreError('unavailable', 'away', { retryable: true });

  test('is tried again when that may help', async () => {
    const { done, clock, metrics, puts } = failing([away(), away(), undefined]);
    for (let turn = 0; turn < 50; turn += 1) {
      await clock.advance(1_000);
    }
    await done;
    expect(puts()).toBe(3);
    expect(metrics.value('origin_put_retries')).toBe(2);
  });

  test('is given up after the last attempt', async () => {
    const { done, clock, puts } = failing([away(), away(), away(), away(), undefined]);
    done.catch(() => undefined);
    for (let turn = 0; turn < 50; turn += 1) {
      await clock.advance(1_000);
    }
    await expect(done).rejects.toMatchObject({ code: 'unavailable' });
    expect(puts()).toBe(4);
  });

  test('is given up at once when nothing can help', async () => {
    const { done, puts } = failing([new StoreError('denied', 'no')]);
    await expect(done).rejects.toMatchObject({ code: 'denied' });
    expect(puts()).toBe(1);
  });
});
