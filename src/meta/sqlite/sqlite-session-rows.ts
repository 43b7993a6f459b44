import type { SqliteDatabase } from './sqlite-database.ts';
import type { SqliteOps, StoredSession } from './sqlite-protocol.ts';
import { bytes, integer, unsigned64 } from './sqlite-values.ts';

type SessionOps = Pick<
  SqliteOps,
  'openSession' | 'refreshSession' | 'closeSession' | 'listSessions'
>;

/** Rows of `session2`, and the counter that sessions are numbered by. Nothing else is written. */
export function sessionOps(database: SqliteDatabase): SessionOps {
  const session = database.table('session2');
  const counter = database.table('counter');

  const nextSid = (): bigint => {
    const bump = `UPDATE ${counter} SET value = value + 1 WHERE name = 'nextSession'
      RETURNING value`;
    const row = database.get(bump);
    if (row !== undefined) return integer(row, 'value');
    database.run(`INSERT INTO ${counter} (name, value) VALUES ('nextSession', 1)`);
    return 1n;
  };
  const exists = (sid: bigint) =>
    database.get(`SELECT sid FROM ${session} WHERE sid = ?`, sid) !== undefined;
  const insert = (sid: bigint, expire: number, info: Uint8Array) =>
    database.run(
      `INSERT INTO ${session} (sid, expire, info) VALUES (?, ?, ?)`,
      sid,
      BigInt(expire),
      info,
    );
  return {
    openSession: (expire, info) =>
      database.write(() => {
        let sid = nextSid();
        while (exists(sid)) sid = nextSid();
        insert(sid, expire, info);
        return sid;
      }),
    refreshSession(sid, expire, info) {
      database.write(() => {
        const sql = `UPDATE ${session} SET expire = ?, info = ? WHERE sid = ?`;
        if (database.run(sql, BigInt(expire), info, sid) === 0) insert(sid, expire, info);
      });
    },
    closeSession(sid) {
      database.run(`DELETE FROM ${session} WHERE sid = ?`, sid);
    },
    listSessions() {
      const sql = `SELECT sid, expire, CAST(info AS BLOB) AS info FROM ${session}`;
      return database.all(sql).map(
        (row): StoredSession => ({
          sid: unsigned64(row, 'sid'),
          expire: integer(row, 'expire'),
          info: row['info'] === null ? undefined : bytes(row, 'info'),
        }),
      );
    },
  };
}
