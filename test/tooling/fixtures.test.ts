import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { FIXTURE_NAMES, fixtureDir, loadFixture } from '../servers/fixtures.ts';

describe('a loaded fixture', () => {
  it('has the metadata of the recorded volume in Redis', async () => {
    const fixture = await loadFixture('plain');
    try {
      const setting = JSON.parse((await fixture.redis?.command('GET', 'setting')) ?? '{}');
      expect(setting).toEqual(fixture.setting);
      expect(fixture.metaUrl).toBe(fixture.redis?.url);
      expect(existsSync(`${fixture.bucket}plain/juicefs_uuid`)).toBe(true);
    } finally {
      await fixture.stop();
    }
  });

  it('has the metadata of the recorded volume in SQLite', async () => {
    const fixture = await loadFixture('sqlite');
    const database = new DatabaseSync(fixture.metaUrl.replace('sqlite3://', ''));
    const row = database.prepare("SELECT value FROM jfs_setting WHERE name = 'format'").get();
    database.close();
    expect(JSON.parse(String(row?.['value']))).toEqual(fixture.setting);
  });

  it('names the shard folders by number', async () => {
    const fixture = await loadFixture('shards');
    await fixture.stop();
    expect(existsSync(fixture.bucket.replace('%d', '3'))).toBe(true);
  });

  it('has complete entries, also where the manifest is stored in short form', async () => {
    const fixture = await loadFixture('manyfiles');
    await fixture.stop();
    expect(fixture.manifest.entries).toHaveLength(20_615);
    expect(fixture.manifest.entries.every(({ type, mode }) => type && mode)).toBe(true);
  });

  it('is a copy', async () => {
    const fixture = await loadFixture('quota');
    await fixture.redis?.command('FLUSHALL');
    await fixture.redis?.stop({ save: true });
    expect(await readFile(`${fixtureDir('quota')}/dump.rdb`)).not.toEqual(
      await readFile(`${fixture.redis?.dir}/dump.rdb`),
    );
  });
});

it('every folder of fixtures has a name to load it by', async () => {
  const entries = await readdir(`${fixtureDir('plain')}/..`, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  expect(folders.sort()).toEqual([...FIXTURE_NAMES].sort());
});
