/** Kinds of columns; the text is what original clients write, who read it back from the schema. */
const [NUMBER, TEXT, BLOB] = ['INTEGER NOT NULL', 'TEXT NOT NULL', 'BLOB NOT NULL'];
const [KEY, TEXT_KEY] = ['INTEGER PRIMARY KEY NOT NULL', 'TEXT PRIMARY KEY NOT NULL'];
const ROW = 'INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL';
const [NUMBER_OR_NULL, BLOB_OR_NULL] = ['INTEGER NULL', 'BLOB NULL'];
const NANOSECONDS = 'INTEGER DEFAULT 0 NOT NULL';

const USAGE = {
  ...{ max_space: NUMBER, max_inodes: NUMBER, used_space: NUMBER, used_inodes: NUMBER },
};

/** Tables and their columns, in the order of version 1.4.1. */
const TABLES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  setting: { name: TEXT_KEY, value: TEXT },
  counter: { name: TEXT_KEY, value: NUMBER },
  edge: { id: ROW, parent: NUMBER, name: BLOB, inode: NUMBER, type: NUMBER },
  node: {
    ...{ inode: KEY, type: NUMBER, flags: NUMBER, mode: NUMBER, uid: NUMBER, gid: NUMBER },
    ...{ atime: NUMBER, mtime: NUMBER, ctime: NUMBER },
    ...{ atimensec: NANOSECONDS, mtimensec: NANOSECONDS, ctimensec: NANOSECONDS },
    ...{ nlink: NUMBER, length: NUMBER, rdev: NUMBER_OR_NULL, parent: NUMBER_OR_NULL },
    ...{ access_acl_id: NUMBER_OR_NULL, default_acl_id: NUMBER_OR_NULL, tier_id: NUMBER_OR_NULL },
  },
  symlink: { inode: KEY, target: BLOB },
  xattr: { id: ROW, inode: NUMBER, name: TEXT, value: BLOB },
  chunk: { id: ROW, inode: NUMBER, indx: NUMBER, slices: BLOB },
  chunk_ref: { chunkid: KEY, size: NUMBER, refs: NUMBER },
  delslices: { chunkid: KEY, deleted: NUMBER, slices: BLOB },
  session2: { sid: KEY, expire: NUMBER, info: BLOB_OR_NULL },
  sustained: { id: ROW, sid: NUMBER, inode: NUMBER },
  delfile: { inode: KEY, length: NUMBER, expire: NUMBER },
  flock: { id: ROW, inode: NUMBER, sid: NUMBER, owner: NUMBER, ltype: NUMBER },
  plock: { id: ROW, inode: NUMBER, sid: NUMBER, owner: NUMBER, records: BLOB },
  dir_quota: { inode: KEY, ...USAGE },
  user_group_quota: { qtype: NUMBER, qkey: NUMBER, ...USAGE },
  dir_stats: { inode: KEY, data_length: NUMBER, used_space: NUMBER, used_inodes: NUMBER },
  detached_node: { inode: KEY, added: NUMBER },
  acl: {
    ...{ id: ROW, owner: NUMBER_OR_NULL, group: NUMBER_OR_NULL, mask: NUMBER_OR_NULL },
    ...{ other: NUMBER_OR_NULL, named_users: BLOB_OR_NULL, named_groups: BLOB_OR_NULL },
  },
  delegation_token: { id: ROW, token: BLOB_OR_NULL },
  change_log: { id: ROW, entry: TEXT },
};

const MORE_KEYS: Readonly<Record<string, string>> = {
  user_group_quota: ', PRIMARY KEY ( `qtype`,`qkey` )',
};

interface Index {
  readonly unique: boolean;
  readonly table: string;
  readonly name: string;
  readonly columns: readonly string[];
}

const INDEXES: readonly Index[] = [
  { unique: true, table: 'edge', name: 'edge', columns: ['parent', 'name'] },
  { unique: false, table: 'edge', name: 'inode', columns: ['inode'] },
  { unique: true, table: 'xattr', name: 'name', columns: ['inode', 'name'] },
  { unique: true, table: 'chunk', name: 'chunk', columns: ['inode', 'indx'] },
  { unique: false, table: 'chunk_ref', name: 'refs', columns: ['refs'] },
  { unique: true, table: 'sustained', name: 'sustained', columns: ['sid', 'inode'] },
  { unique: true, table: 'flock', name: 'flock', columns: ['inode', 'sid', 'owner'] },
  { unique: true, table: 'plock', name: 'plock', columns: ['inode', 'sid', 'owner'] },
];

/** Statements that make the tables of a volume where they are missing. @param prefix - of all names */
export function schemaOf(prefix: string): string[] {
  return Object.entries(TABLES).flatMap(([table, columns]) => {
    const list = Object.entries(columns).map(([column, kind]) => `${quoted(column)} ${kind}`);
    const more = MORE_KEYS[table] ?? '';
    const name = quoted(prefix + table);
    return [
      `CREATE TABLE IF NOT EXISTS ${name} (${list.join(', ')}${more})`,
      ...INDEXES.filter((index) => index.table === table).map((index) => indexOf(index, prefix)),
    ];
  });
}

/** Names of all tables of a volume, also of those that only older clients make. */
export function tablesOf(prefix: string): string[] {
  return [...Object.keys(TABLES), 'session'].map((table) => prefix + table);
}

function indexOf({ unique, table, name, columns }: Index, prefix: string): string {
  const [kind, mark] = unique ? ['UNIQUE INDEX', 'UQE'] : ['INDEX', 'IDX'];
  const at = `${quoted(prefix + table)} (${columns.map(quoted).join(',')})`;
  return `CREATE ${kind} IF NOT EXISTS ${quoted(`${mark}_${prefix}${table}_${name}`)} ON ${at}`;
}

function quoted(name: string): string {
  return `\`${name}\``;
}
