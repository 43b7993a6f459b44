import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { OneShot } from '../../src/daemon/one-shot.ts';
import { VolumeDestruction } from '../../src/daemon/volume-destruction.ts';
import type { VolumeSetting } from '../../src/meta/setting.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { FileStore } from '../../src/store/file-store.ts';
import { type ObjectStore, StoreError } from '../../src/store/object-store.ts';
import { makeTempDir } from '../servers/temp.ts';

const UUID = '11111111-2222-3333-4444-555555555555';
const KEYS = ['vol/chunks/0/0/1_0_4', 'vol/chunks/0/0/2_0_4', 'vol/juicefs_uuid'];
const STUBBORN = 'vol/chunks/0/0/2_0_4';

test('what cannot be deleted keeps the mark there, by which it is begun again', async () => {
  const bucket = `${await makeTempDir('bucket')}/`;
  for (const key of KEYS) {
    await mkdir(dirname(join(bucket, key)), { recursive: true });
    await writeFile(join(bucket, key), UUID);
  }
  const files = new FileStore({ bucket, random: systemRandom });
  const failing: ObjectStore = {
    ...{ displayName: files.displayName, get: files.get.bind(files), head: files.head.bind(files) },
    ...{ put: files.put.bind(files), list: files.list.bind(files), close: () => files.close() },
    async delete(key, signal) {
      if (key === STUBBORN) throw new StoreError('denied', 'not this one');
      await files.delete(key, signal);
    },
  };
  const { signal } = new AbortController();
  const context = { signal, logger: silentLogger, env: {} } as unknown as OneShot;
  const setting = {
    ...{ name: 'vol', uuid: UUID, storage: 'file', bucket, shards: 0, hashPrefix: false },
    encryptKeyPem: undefined,
  } as unknown as VolumeSetting;
  const run = async (store: ObjectStore) => {
    const destruction = new VolumeDestruction(store, setting, context);
    await destruction.check();
    await destruction.run(4, () => undefined);
    return destruction.state;
  };
  const left = async () => {
    const keys: string[] = [];
    for await (const { key } of files.list('', signal)) keys.push(key);
    return keys;
  };
  expect(await run(failing)).toMatchObject({ deleted: 1, failed: 1 });
  expect(await left()).toEqual([STUBBORN, 'vol/juicefs_uuid']);
  expect(await run(files)).toMatchObject({ deleted: 2, failed: 0 });
  expect(await left()).toEqual([]);
});
