import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Timespec } from '../../posix/attr.ts';
import { type Ino, ROOT_INO, TRASH_INO } from '../../posix/ino.ts';
import type { EngineContext } from '../engine-context.ts';
import { MetaError } from '../engine.ts';
import type { SettingChange, SettingStore } from '../setting-store.ts';
import { firstDirectory, ROOT_MODE, TRASH_MODE } from '../volume-root.ts';
import { WallTime } from '../wall-time.ts';
import { schemaOf, tablesOf } from './sqlite-schema.ts';
import { parseSqliteUrl, type SqliteUrl } from './sqlite-url.ts';
import { NODE_ROW, nodeValues } from './sqlite-values.ts';

/** For another writer, as original clients wait. */
const BUSY_TIMEOUT_MS = 5000;

/** Ids begin here: 1 is the root. */
const FIRST_COUNTERS: readonly (readonly [name: string, value: bigint])[] = [
  ['nextInode', 2n],
  ['nextChunk', 1n],
  ['nextSession', 0n],
  ['usedSpace', 0n],
  ['totalInodes', 0n],
  ['nextCleanupSlices', 0n],
];

interface First {
  readonly ino: Ino;
  readonly mode: number;
  readonly now: Timespec;
}

/** The setting of a volume in a SQLite file. Blocks its thread: only for commands that do nothing else. */
export class SqliteSetting implements SettingStore {
  readonly displayUrl: string;
  readonly #url: SqliteUrl;
  readonly #time: WallTime;
  #database: DatabaseSync | undefined;

  /** @throws MetaError `bad-url` */
  constructor(url: string, { clock }: EngineContext) {
    this.displayUrl = url;
    this.#url = parseSqliteUrl(url);
    this.#time = new WallTime(clock);
  }

  async load(): Promise<Uint8Array | undefined> {
    // Opening would make the file.
    if (this.#database === undefined && !existsSync(this.#url.path)) return undefined;
    return this.#attempt(() => this.#read(this.#open()));
  }

  async store(change: SettingChange): Promise<void> {
    this.#attempt(() => {
      const database = this.#open();
      if (change.before === undefined) database.exec('PRAGMA journal_mode = WAL');
      transact(database, () => this.#change(database, change));
    });
  }

  async remove(before: Uint8Array): Promise<void> {
    this.#attempt(() => {
      const database = this.#open();
      transact(database, () => {
        this.#check(database, before);
        for (const table of tablesOf(this.#url.tablePrefix)) {
          database.exec(`DROP TABLE IF EXISTS "${table}"`);
        }
      });
    });
  }

  async close(): Promise<void> {
    this.#database?.close();
    this.#database = undefined;
  }

  #open(): DatabaseSync {
    return (this.#database ??= new DatabaseSync(this.#url.path, { timeout: BUSY_TIMEOUT_MS }));
  }

  #read(database: DatabaseSync): Uint8Array | undefined {
    const table = `${this.#url.tablePrefix}setting`;
    const sql = `SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?`;
    if (database.prepare(sql).get(table) === undefined) return undefined;
    const value = `SELECT CAST(value AS BLOB) AS value FROM "${table}" WHERE name = 'format'`;
    const row = database.prepare(value).get();
    return row === undefined ? undefined : (row['value'] as Uint8Array);
  }

  #check(database: DatabaseSync, before: Uint8Array | undefined): void {
    const found = this.#read(database);
    if (Buffer.compare(found ?? new Uint8Array(), before ?? new Uint8Array()) === 0) return;
    throw new MetaError('refused', 'the setting was changed by somebody else meanwhile');
  }

  #change(database: DatabaseSync, change: SettingChange): void {
    this.#check(database, change.before);
    const isNew = change.before === undefined;
    const now = this.#time.now();
    const { tablePrefix } = this.#url;
    if (isNew) for (const statement of schemaOf(tablePrefix)) database.exec(statement);
    if (change.dropDirStats) database.exec(`DELETE FROM "${tablePrefix}dir_stats"`);
    if (change.dropOwnerUsage) database.exec(`DELETE FROM "${tablePrefix}user_group_quota"`);
    if (change.needsTrash)
      this.#addDirectory(database, 'INSERT OR IGNORE', { ino: TRASH_INO, mode: TRASH_MODE, now });
    database
      .prepare(`INSERT OR REPLACE INTO "${tablePrefix}setting" (name, value) VALUES ('format', ?)`)
      .run(Buffer.from(change.after).toString('utf8'));
    if (!isNew) return;
    this.#addDirectory(database, 'INSERT', { ino: ROOT_INO, mode: ROOT_MODE, now });
    const counter = database.prepare(
      `INSERT INTO "${tablePrefix}counter" (name, value) VALUES (?, ?)`,
    );
    for (const [name, value] of FIRST_COUNTERS) counter.run(name, value);
  }

  #addDirectory(database: DatabaseSync, insert: string, { ino, mode, now }: First): void {
    const places = NODE_ROW.map(() => '?').join(', ');
    const sql = `${insert} INTO "${this.#url.tablePrefix}node" (${NODE_ROW.join(', ')})
      VALUES (${places})`;
    database.prepare(sql).run(...nodeValues(ino, firstDirectory(mode, now)));
  }

  #attempt<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof MetaError) throw error;
      const message = `SQLite: ${this.#url.path}: ${(error as Error).message}`;
      throw new MetaError('refused', message, { cause: error });
    }
  }
}

function transact(database: DatabaseSync, work: () => void): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    work();
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}
