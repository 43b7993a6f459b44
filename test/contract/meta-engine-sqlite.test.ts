import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { loadFixture } from '../servers/fixtures.ts';
import { type ContractVolume, type Damage, metaEngineContract } from './meta-engine-contract.ts';
import { testEngine } from './meta-engine-options.ts';

metaEngineContract('SqliteEngine', async (): Promise<ContractVolume> => {
  const fixture = await loadFixture('sqlite');
  const database = new DatabaseSync(join(fixture.dir, 'meta.db'), { timeout: 5000 });
  return {
    fixture,
    createEngine: (options) => testEngine(fixture.metaUrl, options),
    addNames: async (directory, ino, count) => {
      const sql = 'INSERT INTO jfs_edge (parent, name, inode, type) VALUES (?, ?, ?, 1)';
      const insert = database.prepare(sql);
      database.exec('BEGIN IMMEDIATE');
      for (let index = 0; index < count; index += 1) {
        insert.run(directory, Buffer.from(`f${index}`), ino);
      }
      database.exec('COMMIT');
    },
    damage: async (what, ino) => damage(database, what, ino),
    snapshot: async () => snapshot(database),
    stop: async () => {
      database.close();
      await fixture.stop();
    },
  };
});

function damage(database: DatabaseSync, what: Damage, ino: bigint): void {
  switch (what) {
    case 'setting':
      database.exec(`UPDATE jfs_setting SET value = '{"Name":17}'`);
      return;
    case 'attr':
      database.exec(`INSERT INTO jfs_node SELECT ${ino}, 9, ${nodeColumns(database)}
        FROM jfs_node WHERE inode = 1`);
      return;
    case 'edge':
      addVictim(database, ino, 12);
      return;
    case 'dangling':
      addVictim(database, ino, 1);
      return;
    case 'chunk':
      database.exec(`INSERT INTO jfs_chunk (inode, indx, slices) VALUES (${ino}, 0, x'00ff')`);
      return;
    case 'aclRule':
      database.exec(`INSERT INTO jfs_acl (id, owner, named_users) VALUES (${ino}, 7, x'0102')`);
  }
}

function addVictim(database: DatabaseSync, ino: bigint, type: number): void {
  const name = Buffer.from('victim');
  database.prepare('DELETE FROM jfs_edge WHERE parent = 1 AND name = ?').run(name);
  const sql = 'INSERT INTO jfs_edge (parent, name, inode, type) VALUES (1, ?, ?, ?)';
  database.prepare(sql).run(name, ino, type);
}

/** All columns but the first two, inode and type. */
function nodeColumns(database: DatabaseSync): string {
  const columns = database.prepare('PRAGMA table_info(jfs_node)').all();
  return columns
    .slice(2)
    .map(({ name }) => String(name))
    .join(', ');
}

function snapshot(database: DatabaseSync): string {
  const tables = database.prepare(`SELECT name FROM sqlite_master WHERE type = 'table'`).all();
  return tables
    .map(({ name }) => String(name))
    .filter((name) => name !== 'jfs_session2')
    .map((name) => {
      const where = name === 'jfs_counter' ? ` WHERE name <> 'nextSession'` : '';
      const columns = database.prepare(`PRAGMA table_info("${name}")`).all();
      const casts = columns.map((column) => `hex("${String(column['name'])}")`).join(` || ',' || `);
      const rows = database.prepare(`SELECT ${casts || "''"} AS line FROM "${name}"${where}`).all();
      return [name, ...rows.map(({ line }) => String(line))].join('\n');
    })
    .join('\n\n');
}
