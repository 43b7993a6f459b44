import { copyFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { MetaEngine } from '../../src/meta/engine.ts';
import { ROOT_INO, toIno } from '../../src/posix/ino.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { expectEntries } from '../contract/meta-engine-manifest.ts';
import { testEngine } from '../contract/meta-engine-options.ts';
import { loadFixture, type LoadedFixture } from '../servers/fixtures.ts';
import { makeTempDir } from '../servers/temp.ts';

const threads = vi.hoisted(() => [] as Worker[]);
vi.mock('node:worker_threads', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:worker_threads')>();
  class RecordedWorker extends original.Worker {
    constructor(...args: ConstructorParameters<typeof original.Worker>) {
      super(...args);
      threads.push(this);
    }
  }
  return { ...original, Worker: RecordedWorker };
});

const signal = new AbortController().signal;
const INFO = {
  Version: '1.4.1',
  HostName: 'host',
  MountPoint: '/mnt',
  MountTime: '2026-01-01T00:00:00Z',
  ProcessID: 1,
};

describe('SQLite in trouble', () => {
  let fixture: LoadedFixture;
  let engine: MetaEngine;
  let other: DatabaseSync;
  const metrics = memoryMetrics();

  beforeEach(async () => {
    fixture = await loadFixture('sqlite');
    other = new DatabaseSync(join(fixture.dir, 'meta.db'));
    engine = testEngine(fixture.metaUrl, { deadlineMs: 20_000, metrics });
    await engine.start();
  });
  afterEach(async () => {
    await engine.stop();
    other.close();
    await fixture.stop();
  });

  it('writes once another writer is done, and reads meanwhile', async () => {
    other.exec('BEGIN IMMEDIATE');
    const opened = engine.openSession(INFO, signal);
    expect(await engine.getattr(ROOT_INO, signal)).toBeDefined();
    await expect
      .poll(() => metrics.value('meta_retries', { code: 'unavailable' }))
      .toBeGreaterThan(0);
    other.exec('ROLLBACK');
    await engine.closeSession(await opened, signal);
  });

  it('fails at the deadline while another writer stays', async () => {
    const hasty = testEngine(fixture.metaUrl, { deadlineMs: 4000 });
    await hasty.start();
    other.exec('BEGIN IMMEDIATE');
    const opened = hasty.openSession(INFO, signal);
    await expect(opened).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    other.exec('ROLLBACK');
    // The last try may have got through after all, as with any answer that is lost.
    await hasty.closeSession(await hasty.openSession(INFO, signal), signal);
    await hasty.stop();
  });

  it('goes on in a new thread when the thread dies', async () => {
    const thread = threads.at(-1);
    const calls = Array.from({ length: 300 }, () => engine.getattr(ROOT_INO, signal));
    const all = Promise.all(calls);
    await thread?.terminate();
    expect((await all).every((attr) => attr !== undefined)).toBe(true);
    await expectEntries(engine, fixture.manifest);
    expect(threads.at(-1)).not.toBe(thread);
  });

  it('reads volumes that lack what later clients added', async () => {
    for (const column of ['tier_id', 'access_acl_id', 'default_acl_id']) {
      other.exec(`ALTER TABLE jfs_node DROP COLUMN ${column}`);
    }
    other.exec('DROP TABLE jfs_acl; DROP TABLE jfs_dir_quota');
    other.exec('UPDATE jfs_node SET rdev = NULL WHERE inode = 1');
    await engine.loadSetting(signal);
    const attr = await engine.getattr(ROOT_INO, signal);
    expect(attr).toMatchObject({ rdev: 0, accessAclId: 0, defaultAclId: 0, tier: 0 });
    expect(await engine.aclRule(1, signal)).toBeUndefined();
    expect(await engine.dirQuota(ROOT_INO, signal)).toBeUndefined();
  });

  it('reads an access rule', async () => {
    const sql = 'INSERT INTO jfs_acl VALUES (7, 6, 4, 65535, 0, ?, ?)';
    const users = Buffer.from('000003e80006', 'hex');
    other.prepare(sql).run(users, Buffer.alloc(0));
    expect(await engine.aclRule(7, signal)).toEqual({
      owner: 6,
      group: 4,
      mask: 0xffff,
      other: 0,
      users: [{ id: 1000, perm: 6 }],
      groups: [],
    });
  });

  it('reads a directory quota', async () => {
    other.exec('INSERT INTO jfs_dir_quota VALUES (2, 1073741824, -1, 4096, 1)');
    expect(await engine.dirQuota(toIno(2n), signal)).toEqual({
      maxBytes: 1_073_741_824n,
      maxInodes: -1n,
      usedBytes: 4096n,
      usedInodes: 1n,
    });
  });
});

describe('SQLite files', () => {
  it('are never created', async () => {
    const dir = await makeTempDir('none');
    const engine = testEngine(`sqlite3://${join(dir, 'meta.db')}`);
    await expect(engine.start()).rejects.toMatchObject({ code: 'no-volume' });
    expect(await readdir(dir)).toEqual([]);
  });

  it('without a volume, or of another kind, are refused', async () => {
    const dir = await makeTempDir('odd');
    const empty = join(dir, 'empty.db');
    new DatabaseSync(empty).exec('CREATE TABLE t (x)');
    await expect(testEngine(`sqlite3://${empty}`).start()).rejects.toMatchObject({
      code: 'no-volume',
    });
    const text = join(dir, 'text.db');
    await writeFile(text, 'this is no database, whatever its name may say\n'.repeat(100));
    await expect(testEngine(`sqlite3://${text}`).start()).rejects.toMatchObject({
      code: 'corrupt',
    });
  });

  it('may have odd names and a table prefix', async () => {
    const fixture = await loadFixture('sqlite');
    const path = join(fixture.dir, 'a b%20#ä.db');
    await copyFile(join(fixture.dir, 'meta.db'), path);
    const database = new DatabaseSync(path);
    const tables = database.prepare(`SELECT name FROM sqlite_master WHERE name LIKE 'jfs_%'`).all();
    for (const { name } of tables) {
      const renamed = String(name).replace('jfs_', 'jfs_abc_');
      if (!String(name).includes('sqlite')) {
        database.exec(`ALTER TABLE "${String(name)}" RENAME TO "${renamed}"`);
      }
    }
    database.close();
    const plain = testEngine(`sqlite3://${path}`);
    await expect(plain.start()).rejects.toMatchObject({ code: 'no-volume' });
    const engine = testEngine(`sqlite3://${path}?table_prefix=abc&cache=shared`);
    await engine.start();
    await expectEntries(engine, fixture.manifest);
    await engine.stop();
    await fixture.stop();
  });
});
