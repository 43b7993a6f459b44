import { existsSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { MetaError } from '../engine.ts';

/** A row of a result; whole numbers are bigints. */
export type Row = Readonly<Record<string, unknown>>;

/**
 * How long a statement waits for another writer. Short, because everybody else waits meanwhile;
 * calls are repeated until their deadline.
 */
const BUSY_TIMEOUT_MS = 250;
/** More statements than there are operations. */
const STATEMENTS_MAX = 256;

/** An open database file with its prepared statements. */
export class SqliteDatabase {
  readonly #database: DatabaseSync;
  readonly #prefix: string;
  readonly #statements = new Map<string, StatementSync>();
  #tables = new Map<string, ReadonlySet<string>>();
  #schemaVersion: unknown;

  /**
   * Opens a file for reading and writing; it is never created.
   *
   * @throws MetaError `no-volume` when the file is missing; what SQLite throws
   */
  constructor(path: string, tablePrefix: string) {
    if (!existsSync(path)) throw new MetaError('no-volume', `${path} does not exist`);
    const uri = `${pathToFileURL(path).href}?mode=rw`;
    this.#prefix = tablePrefix;
    this.#database = new DatabaseSync(uri, { timeout: BUSY_TIMEOUT_MS });
    // What the original client sets; enough for a database in WAL mode.
    this.#database.exec('PRAGMA synchronous = NORMAL');
  }

  /** Name of a table, to be put into a statement. */
  table(name: string): string {
    return `"${this.#prefix}${name}"`;
  }

  /** Columns of a table; empty when there is no such table. Volumes of older clients lack some. */
  columns(name: string): ReadonlySet<string> {
    const known = this.#tables.get(name);
    if (known !== undefined) return known;
    const rows = this.all(`PRAGMA table_info(${this.table(name)})`);
    const columns = new Set(rows.map((row) => String(row['name'])));
    this.#tables.set(name, columns);
    return columns;
  }

  /** Forgets what it knows of tables when another client has changed them. */
  noteSchemaChange(): void {
    const version = this.get('PRAGMA schema_version')?.['schema_version'];
    if (version === this.#schemaVersion) return;
    this.#schemaVersion = version;
    this.#tables = new Map();
    this.#statements.clear();
  }

  /** The first row of a result. */
  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#prepare(sql).get(...values);
  }

  /** All rows of a result, which the statement must bound. */
  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#prepare(sql).all(...values);
  }

  /** @returns how many rows were changed */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#prepare(sql).run(...values).changes);
  }

  /** Runs `work` in a transaction that has the write lock from its beginning. */
  write<T>(work: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  /** The same for work that waits; nothing else may use the database meanwhile. */
  async writeAsync<T>(work: () => Promise<T>): Promise<T> {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = await work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  close(): void {
    this.#database.close();
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    // Inodes of the trash do not fit into numbers.
    statement.setReadBigInts(true);
    if (this.#statements.size >= STATEMENTS_MAX) this.#statements.clear();
    this.#statements.set(sql, statement);
    return statement;
  }
}
