import { MetaError } from '../engine.ts';
import type { SqliteDatabase } from './sqlite-database.ts';
import { integer } from './sqlite-values.ts';

/** Adds to a counter, which begins at 0. @returns its new value */
export function addToCounter(database: SqliteDatabase, name: string, by: bigint): bigint {
  const sql = `INSERT INTO ${database.table('counter')} (name, value) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET value = value + excluded.value RETURNING value`;
  const row = database.get(sql, name, by);
  if (row === undefined) throw new MetaError('refused', `SQLite: the counter ${name}`);
  return integer(row, 'value');
}
