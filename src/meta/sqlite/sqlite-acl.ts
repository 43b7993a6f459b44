import { decodeAclNames, encodeAclNames } from '../acl-codec.ts';
import { sameRule } from '../acl-rule.ts';
import type { AclName, AclRule } from '../acl.ts';
import { MetaError } from '../engine.ts';
import type { Row, SqliteDatabase } from './sqlite-database.ts';
import { bytes, integer, unsigned32 } from './sqlite-values.ts';

const COLUMNS = `id, owner, "group", mask, other, CAST(named_users AS BLOB) AS named_users,
  CAST(named_groups AS BLOB) AS named_groups`;

/** ACL rules by id, and ids of rules. They never change, so all that was read is kept. */
export class SqliteAcl {
  readonly #database: SqliteDatabase;
  readonly #rules = new Map<number, AclRule>();
  #knownTo = 0;
  #hasInserted = false;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  /** @see TxReads.aclRule */
  rule(id: number): AclRule | undefined {
    this.#learnAll();
    return this.#rules.get(id) ?? readAclRule(this.#database, id);
  }

  /** The id of a rule, inside of the caller's transaction. @see TxDraws.internAclRule */
  intern(rule: AclRule): number {
    this.#learnAll();
    for (const [id, known] of this.#rules) {
      if (sameRule(known, rule)) return id;
    }
    this.#hasInserted = true;
    const sql = `INSERT INTO ${this.#database.table('acl')}
      (owner, "group", mask, other, named_users, named_groups) VALUES (?, ?, ?, ?, ?, ?)
      RETURNING id`;
    const row = this.#database.get(
      sql,
      ...[rule.owner, rule.group, rule.mask, rule.other].map(BigInt),
      encodeAclNames(rule.users),
      encodeAclNames(rule.groups),
    );
    if (row === undefined) throw new MetaError('refused', 'SQLite: the ACL rule was not stored');
    return Number(integer(row, 'id'));
  }

  /** To be called at the beginning of every transaction. */
  begin(): void {
    this.#hasInserted = false;
  }

  /** What a transaction has inserted itself may be undone, and its id come again. */
  #learnAll(): void {
    if (this.#hasInserted) return;
    const sql = `SELECT ${COLUMNS} FROM ${this.#database.table('acl')} WHERE id > ? ORDER BY id`;
    for (const row of this.#database.all(sql, BigInt(this.#knownTo))) {
      const id = Number(integer(row, 'id'));
      this.#rules.set(id, toRule(row));
      this.#knownTo = id;
    }
  }
}

/** One rule by its id. */
export function readAclRule(database: SqliteDatabase, id: number): AclRule | undefined {
  // Volumes from before ACLs have no such table.
  if (database.columns('acl').size === 0) return undefined;
  const sql = `SELECT ${COLUMNS} FROM ${database.table('acl')} WHERE id = ?`;
  const row = database.get(sql, BigInt(id));
  return row === undefined ? undefined : toRule(row);
}

function toRule(row: Row): AclRule {
  const id = integer(row, 'id');
  const names = (column: string): AclName[] => {
    const list = row[column] === null ? [] : decodeAclNames(bytes(row, column));
    if (list === undefined) throw new MetaError('corrupt', `the ACL rule ${id}`);
    return list;
  };
  return {
    owner: unsigned32(row, 'owner'),
    group: unsigned32(row, 'group'),
    mask: unsigned32(row, 'mask'),
    other: unsigned32(row, 'other'),
    users: names('named_users'),
    groups: names('named_groups'),
  };
}
