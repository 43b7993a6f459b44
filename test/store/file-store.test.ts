import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { systemRandom } from '../../src/runtime/random.ts';
import { FileStore } from '../../src/store/file-store.ts';
import { makeTempDir } from '../servers/temp.ts';
import { collect, readBody } from './read-body.ts';

const { signal } = new AbortController();

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

async function openStore(): Promise<{ dir: string; store: FileStore }> {
  const dir = `${await makeTempDir('file-store')}/`;
  return { dir, store: new FileStore({ bucket: dir, random: systemRandom }) };
}

describe('the file store', () => {
  test('keeps objects where JuiceFS does, and leaves no temporary files', async () => {
    const { dir, store } = await openStore();
    const name = 'n'.repeat(250);
    await store.put('vol/chunks/0/0/1_0_3', Uint8Array.of(1, 2, 3), signal);
    await store.put(`vol/${name}`, Uint8Array.of(4), signal);
    expect([...(await readFile(`${dir}vol/chunks/0/0/1_0_3`))]).toEqual([1, 2, 3]);
    expect(await readdir(`${dir}vol`)).toEqual(['chunks', name]);
    expect(await readdir(`${dir}vol/chunks/0/0`)).toEqual(['1_0_3']);
  });

  test('a put that is given up stores no bytes that came to its memory later', async () => {
    const { dir, store } = await openStore();
    const wrong: number[] = [];
    for (let round = 0; round < 200; round += 1) {
      const body = new Uint8Array(256 * 1024).fill(1);
      const controller = new AbortController();
      const putting = store.put(`x${round}`, body, controller.signal).catch(() => undefined);
      for (let turn = 0; turn < round % 40; turn += 1) await nextTurn();
      controller.abort(new Error('it takes too long'));
      body.fill(2);
      await putting;
      const stored = await readFile(`${dir}x${round}`).catch(() => body.subarray(0, 0));
      if (stored.includes(2)) wrong.push(round);
    }
    expect(wrong).toEqual([]);
    expect((await readdir(dir)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('a bucket without a final slash is a prefix of names', async () => {
    const dir = await makeTempDir('file-store');
    const store = new FileStore({ bucket: `${dir}/pre-`, random: systemRandom });
    await store.put('vol/a', Uint8Array.of(1), signal);
    await writeFile(`${dir}/other`, '');
    expect(await readdir(dir)).toEqual(['other', 'pre-vol']);
    expect((await collect(store.list('', signal))).map(({ key }) => key)).toEqual(['vol/a']);
    expect((await collect(store.list('vo', signal))).map(({ key }) => key)).toEqual(['vol/a']);
  });

  test.each(['../x', 'vol/../../x', 'vol/..', 'a\0b'])(
    'key %j cannot leave the bucket',
    async (key) => {
      const { store } = await openStore();
      const denied = { name: 'StoreError', code: 'denied' };
      await expect(store.get(key, undefined, signal)).rejects.toMatchObject(denied);
      await expect(store.put(key, new Uint8Array(1), signal)).rejects.toMatchObject(denied);
      await expect(store.delete(key, signal)).rejects.toMatchObject(denied);
      await expect(store.head(key, signal)).rejects.toMatchObject(denied);
    },
  );

  test('a relative bucket is refused', () => {
    expect(() => new FileStore({ bucket: 'data/', random: systemRandom })).toThrow('absolute path');
  });

  test('directories and special files are no objects; symbolic links are followed', async () => {
    const { dir, store } = await openStore();
    await mkdir(`${dir}vol/sub`, { recursive: true });
    await writeFile(`${dir}vol/real`, 'abc');
    await symlink('real', `${dir}vol/link`);
    await symlink('nowhere', `${dir}vol/dangling`);
    await expect(store.get('vol/sub', undefined, signal)).rejects.toMatchObject({
      code: 'not-found',
    });
    await expect(store.get('vol/real/x', undefined, signal)).rejects.toMatchObject({
      code: 'not-found',
    });
    expect(await store.head('vol/sub', signal)).toBeUndefined();
    expect(String(await readBody(await store.get('vol/link', undefined, signal)))).toBe('abc');
    const items = await collect(store.list('vol/', signal));
    expect(items.map(({ key }) => key)).toEqual(['vol/link', 'vol/real']);
  });

  test.skipIf(process.getuid?.() === 0)('what may not be read is denied', async () => {
    const { dir, store } = await openStore();
    await writeFile(`${dir}secret`, 'abc');
    await chmod(`${dir}secret`, 0);
    await expect(store.get('secret', undefined, signal)).rejects.toMatchObject({ code: 'denied' });
  });

  test('a file that shrinks while it is read is corrupt', async () => {
    const { dir, store } = await openStore();
    await store.put('k', new Uint8Array(1_000_000), signal);
    const chunks = (await store.get('k', undefined, signal)).chunks[Symbol.asyncIterator]();
    await chunks.next();
    await writeFile(`${dir}k`, 'short');
    await expect(chunks.next()).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('k: ends early'),
    });
  });

  test('an aborted put leaves nothing behind', async () => {
    const { dir, store } = await openStore();
    const controller = new AbortController();
    const put = store.put('v/k', new Uint8Array(64 << 20), controller.signal);
    const reason = new Error('enough');
    setImmediate(() => controller.abort(reason));
    await expect(put).rejects.toBe(reason);
    expect(await readdir(dir, { recursive: true })).toEqual(['v']);
  });
});
