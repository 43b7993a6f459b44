import { createCipheriv, generateKeyPairSync, publicEncrypt } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { compressSync } from 'lz4-napi';
import { describe, expect, test } from 'vitest';
import { crc32cOf } from '../../src/block/checksum.ts';
import { BlockOrigin } from '../../src/store/block-origin.ts';
import { DataKey } from '../../src/store/data-key.ts';
import type { Compression } from '../../src/store/decompress.ts';
import type { EncryptAlgo } from '../../src/store/object-cipher.ts';
import { type ObjectStore, StoreError } from '../../src/store/object-store.ts';
import { type ManualClock, manualClock, settle } from './manual-clock.ts';
import { bodyOf, scriptedStore } from './scripted-store.ts';
import { storeContext } from './store-context.ts';

const SIZE_BYTES = 300_000;
const key = { sliceId: 1_234_567n, index: 2, sizeBytes: SIZE_BYTES };
const whole = { offset: 0, length: SIZE_BYTES };
const plain = new Uint8Array(SIZE_BYTES).map((_, index) => (index % 251) ^ (index >> 12));
const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const dataKey = new DataKey(pair.privateKey);

interface Setup {
  readonly compression?: Compression;
  readonly algo?: EncryptAlgo;
  readonly ioRetries?: number;
  readonly hashPrefix?: boolean;
}

function setUp(store: ObjectStore, setup: Setup = {}) {
  const clock = manualClock();
  const context = { ...storeContext(), clock };
  const { compression = 'none', algo, hashPrefix = false, ioRetries = 4 } = setup;
  const encryption = algo === undefined ? undefined : { dataKey, algo };
  const naming = { volumeName: 'vol', hashPrefix };
  const format = { naming, compression, encryption };
  const origin = new BlockOrigin({ ...context, store, format, ioRetries });
  const ready: number[] = [];
  const into = new Uint8Array(SIZE_BYTES);
  const controller = new AbortController();
  const options = { signal: controller.signal, onProgress: (count: number) => ready.push(count) };
  return {
    ...{ origin, ready, into, controller, clock, metrics: context.metrics },
    fill: () => run(origin.fill(key, whole, into, options), clock),
  };
}

/** Lets time pass until the work is done. */
async function run<T>(work: Promise<T>, clock: ManualClock): Promise<T> {
  let isDone = false;
  const end = () => void (isDone = true);
  work.then(end, end);
  // Time stands still while threads decode.
  while (!isDone) await (clock.timers > 0 ? clock.advance(100) : settle());
  return work;
}

/** Chunks as a socket would cut them. */
function cut(bytes: Uint8Array): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 65_536) chunks.push(bytes.subarray(at, at + 65_536));
  return chunks;
}

function encrypt(bytes: Uint8Array, algo: EncryptAlgo): Buffer {
  const secret = Buffer.alloc(32, 7);
  const nonce = Buffer.alloc(12, 9);
  const wrapped = publicEncrypt(
    { key: pair.publicKey, oaepHash: 'sha256', oaepLabel: Buffer.from('keys') },
    secret,
  );
  const cipher =
    algo === 'aes256gcm-rsa'
      ? createCipheriv('aes-256-gcm', secret, nonce)
      : createCipheriv('chacha20-poly1305', secret, nonce, { authTagLength: 16 });
  const sealed = Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
  const header = Buffer.from([wrapped.length >> 8, wrapped.length & 255, nonce.length]);
  return Buffer.concat([header, wrapped, nonce, sealed]);
}

function compress(bytes: Uint8Array, compression: Compression): Uint8Array {
  if (compression === 'none') return bytes;
  if (compression === 'zstd') return zstdCompressSync(bytes);
  // The library puts the length in front; the format has the bare block.
  return compressSync(Buffer.from(bytes)).subarray(4);
}

const FORMATS: readonly Setup[] = [
  { compression: 'lz4' },
  { compression: 'zstd' },
  { compression: 'none', algo: 'aes256gcm-rsa' },
  { compression: 'none', algo: 'chacha20-rsa' },
  { compression: 'lz4', algo: 'aes256gcm-rsa' },
  { compression: 'zstd', algo: 'chacha20-rsa' },
];
const store = (bytes: Uint8Array, setup: Setup): Uint8Array => {
  const compressed = compress(bytes, setup.compression ?? 'none');
  return setup.algo === undefined ? compressed : encrypt(compressed, setup.algo);
};
const serve = (bytes: Uint8Array) => scriptedStore(async () => bodyOf(cut(bytes)));

describe('plain blocks', () => {
  test('stream into place and are reported as they come', async () => {
    const inner = serve(plain);
    const { origin, fill, into, ready } = setUp(inner);
    await fill();
    expect(Buffer.compare(into, plain)).toBe(0);
    expect(ready).toEqual([65_536, 131_072, 196_608, 262_144, 300_000]);
    expect(inner.asked[0]?.key).toBe('vol/chunks/1/1234/1234567_2_300000');
    expect(inner.asked[0]?.range).toBeUndefined();
    expect(origin.rangeable).toBe(true);
  });

  test('with a checksum nothing is reported before it was found right', async () => {
    const body = async () => bodyOf(cut(plain), { crc32c: crc32cOf(plain) });
    const { fill, ready } = setUp(scriptedStore(body), { hashPrefix: true });
    await fill();
    expect(ready).toEqual([SIZE_BYTES]);
  });

  test('a wrong checksum is corrupt, after two more attempts', async () => {
    const inner = scriptedStore(async () => bodyOf(cut(plain), { crc32c: 1 }));
    const { fill, ready, metrics } = setUp(inner);
    await expect(fill()).rejects.toMatchObject({
      name: 'StoreError',
      code: 'corrupt',
      message: expect.stringContaining('vol/chunks/1/1234/1234567_2_300000'),
    });
    expect(ready).toEqual([]);
    expect(inner.asked).toHaveLength(3);
    expect(metrics.value('origin_block_corrupt')).toBe(3);
    expect(metrics.value('origin_block_retries')).toBe(2);
  });

  test.each([SIZE_BYTES - 1, SIZE_BYTES + 1, 0])(
    'an object of %d bytes is refused before a byte is reported, and its body closed',
    async (sizeBytes) => {
      let closed = 0;
      const chunks = cut(new Uint8Array(sizeBytes));
      const inner = scriptedStore(async () => bodyOf(chunks, { onClose: () => (closed += 1) }));
      const { fill, ready } = setUp(inner);
      await expect(fill()).rejects.toMatchObject({ code: 'corrupt' });
      expect(ready).toEqual([]);
      expect(closed).toBe(3);
    },
  );

  test('a body that is shorter or longer than it announced is corrupt', async () => {
    for (const sizeBytes of [SIZE_BYTES - 1, SIZE_BYTES + 1]) {
      const chunks = cut(new Uint8Array(sizeBytes));
      const inner = scriptedStore(async () => bodyOf(chunks, { sizeBytes: SIZE_BYTES }));
      await expect(setUp(inner).fill()).rejects.toMatchObject({ code: 'corrupt' });
    }
  });

  test('a range is read alone', async () => {
    const inner = scriptedStore(async ({ range }) =>
      bodyOf([plain.subarray(range?.offset, (range?.offset ?? 0) + (range?.length ?? 0))]),
    );
    const { origin, controller } = setUp(inner);
    const into = new Uint8Array(1000);
    const range = { offset: 4321, length: 1000 };
    await origin.fill(key, range, into, { signal: controller.signal });
    expect(inner.asked[0]?.range).toEqual(range);
    expect(Buffer.compare(into, plain.subarray(4321, 5321))).toBe(0);
  });
});

describe.each(FORMATS)('blocks with $compression and $algo', (setup) => {
  const stored = store(plain, setup);

  test('decode to the plain bytes', async () => {
    const { origin, fill, into, ready } = setUp(serve(stored), setup);
    await fill();
    expect(Buffer.compare(into, plain)).toBe(0);
    expect(ready).toEqual([SIZE_BYTES]);
    expect(origin.rangeable).toBe(false);
    const range = { offset: 0, length: 10 };
    const part = origin.fill(key, range, new Uint8Array(10), {
      signal: new AbortController().signal,
    });
    await expect(part).rejects.toMatchObject({ name: 'AssertionError' });
  });

  test.each([
    ['cut short', stored.subarray(0, stored.length - 20)],
    ['cut to the header', stored.subarray(0, 2)],
    ['empty', stored.subarray(0, 0)],
    ['a shorter block', store(plain.subarray(1), setup)],
    ['a longer block', store(new Uint8Array(SIZE_BYTES + 1), setup)],
    ['far too long', new Uint8Array(SIZE_BYTES * 2)],
    ['zeros', new Uint8Array(stored.length)],
  ])('%s is corrupt and never data', async (_, damaged) => {
    const inner = serve(damaged);
    const { fill, ready, into } = setUp(inner, setup);
    await expect(fill()).rejects.toMatchObject({
      name: 'StoreError',
      code: 'corrupt',
      retryable: false,
      message: expect.stringContaining('vol/chunks/1/1234/1234567_2_300000'),
    });
    expect(inner.asked).toHaveLength(3);
    expect(ready).toEqual([]);
    expect(into.every((byte) => byte === 0)).toBe(true);
  });
});

describe.each<EncryptAlgo>(['aes256gcm-rsa', 'chacha20-rsa'])('%s', (algo) => {
  test.each([0, 1, 2, 3, 100, 258, 260, 271, 300, SIZE_BYTES])(
    'a flipped bit in byte %d is corrupt',
    async (at) => {
      const damaged = encrypt(plain, algo);
      damaged[at] = (damaged[at] as number) ^ 1;
      const { fill } = setUp(serve(damaged), { algo });
      await expect(fill()).rejects.toMatchObject({ code: 'corrupt' });
    },
  );
});

describe('failing stores', () => {
  const later = () => Promise.reject(new StoreError('unavailable', 'later', { retryable: true }));

  test('a body that breaks off is asked for again from where it broke', async () => {
    const restFrom = (offset = 0) => bodyOf(cut(plain.subarray(offset)));
    const broken = async () => {
      const body = restFrom();
      return {
        ...body,
        chunks: (async function* () {
          let count = 0;
          for await (const chunk of body.chunks) {
            count += 1;
            if (count === 3) await later();
            yield chunk;
          }
        })(),
      };
    };
    const inner = scriptedStore(broken, later, async ({ range }) => restFrom(range?.offset));
    const { fill, ready, into, metrics } = setUp(inner);
    await fill();
    expect(Buffer.compare(into, plain)).toBe(0);
    expect(ready).toEqual([65_536, 131_072, 196_608, 262_144, 300_000]);
    const rest = { offset: 131_072, length: 300_000 - 131_072 };
    expect(inner.asked.map(({ range }) => range)).toEqual([undefined, rest, rest]);
    expect(metrics.value('origin_block_retries')).toBe(2);
  });

  test('retries end', async () => {
    const inner = scriptedStore(later);
    await expect(setUp(inner, { ioRetries: 6 }).fill()).rejects.toThrow('later');
    expect(inner.asked).toHaveLength(7);
  });

  test.each(['not-found', 'denied', 'bad-config'] as const)('%s is final', async (code) => {
    const inner = scriptedStore(() => Promise.reject(new StoreError(code, 'no')));
    await expect(setUp(inner).fill()).rejects.toMatchObject({ code });
    expect(inner.asked).toHaveLength(1);
  });

  test('a bug is not retried', async () => {
    const inner = scriptedStore(() => Promise.reject(new TypeError('a bug')));
    await expect(setUp(inner).fill()).rejects.toThrow('a bug');
    expect(inner.asked).toHaveLength(1);
  });

  test('nothing is written any more once an aborted fill has ended', async () => {
    const gates: (() => void)[] = [];
    const inner = scriptedStore(async () => ({
      ...bodyOf([]),
      sizeBytes: SIZE_BYTES,
      chunks: (async function* () {
        for (const chunk of cut(plain)) {
          await new Promise<void>((resolve) => void gates.push(resolve));
          yield chunk;
        }
      })(),
    }));
    const { origin, into, controller } = setUp(inner);
    const work = origin.fill(key, whole, into, { signal: controller.signal });
    await settle();
    gates.pop()?.();
    await settle();
    expect(into[1]).toBe(plain[1]);
    controller.abort(new Error('enough'));
    // This store ignores the signal, so its next chunk ends the wait.
    let ended = false;
    const seen = work.catch((error: unknown) => {
      ended = true;
      return error;
    });
    while (!ended) {
      gates.pop()?.();
      await settle();
    }
    into.fill(0);
    gates.pop()?.();
    await settle();
    expect(into.every((byte) => byte === 0)).toBe(true);
    expect(await seen).toMatchObject({ message: 'enough' });
  });

  test('aborting ends the pause between attempts', async () => {
    const { origin, controller, clock, into } = setUp(scriptedStore(later));
    const work = origin.fill(key, whole, into, { signal: controller.signal });
    await settle();
    expect(clock.timers).toBe(1);
    controller.abort(new Error('enough'));
    await expect(work).rejects.toThrow('enough');
    expect(clock.timers).toBe(0);
  });
});
