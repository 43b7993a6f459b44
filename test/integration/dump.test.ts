import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FileType } from '../../src/posix/attr.ts';
import { ROOT_INO } from '../../src/posix/ino.ts';
import { text, WriterBench, type WriterVolume } from '../contract/writer-bench.ts';
import { redisWriterVolume, sqliteWriterVolume } from '../contract/writer-volumes.ts';
import { runHere } from '../servers/cli-here.ts';
import { emptyRedisVolume, emptySqliteVolume } from '../servers/empty-volume.ts';
import { hasStock, runStock } from '../servers/stock.ts';
import { makeTempDir } from '../servers/temp.ts';

const FIELDS = { TrashDays: 1, EnableACL: true, SecretKey: 'secret' };

describe.each([
  ['redis', async () => redisWriterVolume(await emptyRedisVolume(FIELDS))],
  ['sqlite', async () => sqliteWriterVolume(await emptySqliteVolume(FIELDS))],
] as const)('a dump of a volume on %s', (_, make) => {
  let volume: WriterVolume;
  let bench: WriterBench;
  let dir: string;

  beforeAll(async () => {
    dir = await makeTempDir('dump');
    volume = await make();
    bench = await WriterBench.on(volume);
    const { writer, root } = bench;
    const top = await bench.mkdir('top');
    const file = await bench.file('a "file" ä%', top, 5000);
    await bench.write(file, 100, 20);
    await bench.write(file, 3 * 2 ** 26 + 7, 3000);
    await writer.link(file, { parent: ROOT_INO, name: text('hard') }, root);
    const strange = { parent: top, name: Uint8Array.of(0x61, 0xff, 0x0a) };
    const node = { mode: 0o600, umask: 0 };
    await writer.mknod(strange, { ...node, type: FileType.charDevice, rdev: 259 }, root);
    const link = { ...node, type: FileType.symlink, target: text('a "file"') };
    await writer.mknod({ parent: top, name: text('link') }, link, root);
    await writer.setxattr(
      file,
      { name: text('user.x'), value: Uint8Array.of(0, 255), how: 'any' },
      root,
    );
    const rule = {
      ...{ owner: 6, group: 4, other: 0, mask: 6 },
      ...{ users: [{ id: 7, perm: 6 }], groups: [] },
    };
    await writer.setAcl(file, { kind: 'access', rule }, root);
    const sub = await bench.mkdir('sub', top);
    for (let number = 0; number < 150; number += 1) await bench.file(`f${number}`, sub);
    await bench.file('removed', top, 10);
    await writer.unlink({ parent: top, name: text('removed') }, root);
    const limits = { maxBytes: 1n << 30n, maxInodes: -1n, usedBytes: 0n, usedInodes: 0n };
    await volume.setDirQuota(top, limits);
  });

  afterAll(async () => {
    await bench?.stop();
    await volume?.stop();
  });

  async function stock(...words: string[]): Promise<void> {
    const { status, stdout, stderr } = await runStock(words);
    expect({ status, stdout, stderr }).toMatchObject({ status: 0 });
  }

  const parsed = (dump: string) => JSON.parse(dump) as Record<string, unknown>;

  test('goes to the standard output, without secrets unless they are asked for', async () => {
    const plain = await runHere(['dump', volume.metaUrl, '--skip-trash']);
    const some = ['--subdir', '/top', '--keep-secret-key'];
    const whole = await runHere(['dump', volume.metaUrl, ...some]);
    expect(plain).toMatchObject({ status: 0, stderr: '' });
    expect(parsed(plain.stdout)).toMatchObject({ Setting: { SecretKey: 'removed' } });
    expect(parsed(plain.stdout)).not.toHaveProperty('Trash');
    expect(parsed(whole.stdout)).toMatchObject({ Setting: { SecretKey: 'secret' } });
    const { FSTree } = parsed(whole.stdout) as { FSTree: { entries: Record<string, unknown> } };
    expect(Object.keys(FSTree.entries)).toContain('a%20%22file%22%20ä%25');
  });

  test.skipIf(!hasStock)('is that of the original client, which loads it', async () => {
    const [ours, theirs] = [join(dir, 'ours.json.gz'), join(dir, 'theirs.json')];
    const done = await runHere(['dump', volume.metaUrl, ours]);
    expect(done).toMatchObject({ status: 0, stdout: '', stderr: '' });
    await stock('dump', volume.metaUrl, theirs);
    const dump = parsed(gunzipSync(await readFile(ours)).toString());
    const expected = parsed(await readFile(theirs, 'utf8'));
    // The original client adds what is understood when it is not stored.
    expect(expected).toMatchObject(dump);
    const { Setting, ...rest } = dump;
    expect(Object.keys(expected)).toEqual(Object.keys(dump));
    expect({ ...expected, Setting }).toEqual({ ...rest, Setting });
    const other = `sqlite3://${join(dir, 'loaded.db')}`;
    await stock('load', other, ours);
    await stock('dump', other, join(dir, 'again.json'));
    const again = parsed(await readFile(join(dir, 'again.json'), 'utf8'));
    expect(again['FSTree']).toEqual(dump['FSTree']);
    expect(again['Trash']).toEqual(dump['Trash']);
    expect(again['Quotas']).toEqual(dump['Quotas']);
  });
});
