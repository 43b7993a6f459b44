import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type BlockKey, parseBlockId } from '../../src/block/block-key.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { BlockOrigin } from '../../src/store/block-origin.ts';
import { createObjectStore } from '../../src/store/create-store.ts';
import { loadDataKey } from '../../src/store/data-key.ts';
import type { EncryptAlgo } from '../../src/store/object-cipher.ts';
import { FIXTURE_PASSPHRASE, type FixtureName, fixtureDir } from '../servers/fixtures.ts';

interface Setting {
  readonly Name: string;
  readonly Compression: 'none' | 'lz4' | 'zstd';
  readonly Shards?: number;
  readonly HashPrefix?: boolean;
  readonly EncryptKey?: string;
  readonly EncryptAlgo: EncryptAlgo;
}

const VOLUMES: readonly FixtureName[] = [
  'plain',
  'lz4',
  'zstd',
  'encrypted-aes',
  'encrypted-chacha',
  'hash-prefix',
  'shards',
];

describe('every object that JuiceFS wrote decodes to the length in its name', () => {
  test.each(VOLUMES)('%s', async (volume) => {
    const dir = fixtureDir(volume);
    const setting = JSON.parse(await readFile(join(dir, 'setting.json'), 'utf8')) as Setting;
    const origin = await openOrigin(volume, setting);
    const keys = await blocksIn(join(dir, 'objects'));
    expect(keys.length).toBeGreaterThan(10);
    const { signal } = new AbortController();
    for (const key of keys) {
      const into = new Uint8Array(key.sizeBytes);
      let ready = 0;
      const onProgress = (readyBytes: number) => {
        expect(readyBytes).toBeGreaterThan(ready);
        ready = readyBytes;
      };
      const range = { offset: 0, length: key.sizeBytes };
      await origin.fill(key, range, into, { signal, onProgress });
      expect(ready).toBe(key.sizeBytes);
    }
  });
});

async function openOrigin(volume: FixtureName, setting: Setting): Promise<BlockOrigin> {
  const metrics = memoryMetrics();
  const context = { clock: systemClock, random: systemRandom, logger: silentLogger, metrics };
  const shards = setting.Shards ?? 1;
  const store = await createObjectStore(
    {
      storage: 'file',
      bucket: `${fixtureDir(volume)}/objects/${shards > 1 ? '%d/' : ''}`,
      accessKey: '',
      secretKey: '',
      sessionToken: '',
      shards,
    },
    { ...context, env: {} },
    {},
    new AbortController().signal,
  );
  const pem = setting.EncryptKey
    ? await readFile(join(fixtureDir(volume), 'key.pem'), 'utf8')
    : undefined;
  return new BlockOrigin({
    ...context,
    store,
    ioRetries: 0,
    format: {
      naming: { volumeName: setting.Name, hashPrefix: setting.HashPrefix === true },
      compression: setting.Compression,
      encryption:
        pem === undefined
          ? undefined
          : { dataKey: loadDataKey(pem, FIXTURE_PASSPHRASE), algo: setting.EncryptAlgo },
    },
  });
}

async function blocksIn(dir: string): Promise<BlockKey[]> {
  const names = await readdir(dir, { recursive: true });
  return names
    .map((name) => parseBlockId(name.split('/').at(-1) as string))
    .filter((key) => key !== undefined);
}
