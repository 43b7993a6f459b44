import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { decodeSliceRecords } from '../../src/block/slice-record.ts';
import type { DirQuota } from '../../src/meta/engine.ts';
import type { Attr, FileType, Timespec } from '../../src/posix/attr.ts';
import { toIno } from '../../src/posix/ino.ts';
import type { VolumeState } from './volume-state.ts';

type Cells = Record<string, unknown>;

/** Reads everything that a volume's metadata says. */
export function sqliteState(database: DatabaseSync): VolumeState {
  const rows = (sql: string, ...values: SQLInputValue[]): Cells[] => {
    const statement = database.prepare(sql);
    statement.setReadBigInts(true);
    return statement.all(...values);
  };
  const counter = (name: string) =>
    big(rows('SELECT value FROM jfs_counter WHERE name = ?', name)[0] ?? { value: 0n }, 'value');
  const latin1 = (cells: Cells, column: string) =>
    Buffer.from(cells[column] as Uint8Array).toString('latin1');
  const quotaOf = (row: Cells): DirQuota => ({
    maxBytes: big(row, 'max_space'),
    maxInodes: big(row, 'max_inodes'),
    usedBytes: big(row, 'used_space'),
    usedInodes: big(row, 'used_inodes'),
  });
  return {
    nodes: new Map(rows('SELECT * FROM jfs_node').map((row) => [big(row, 'inode'), attrOf(row)])),
    edges: rows('SELECT parent, CAST(name AS BLOB) AS name, inode, type FROM jfs_edge').map(
      (row) => ({
        parent: big(row, 'parent'),
        name: latin1(row, 'name'),
        ino: big(row, 'inode'),
        type: Number(big(row, 'type')),
      }),
    ),
    links: undefined,
    symlinks: new Map(
      rows('SELECT inode, CAST(target AS BLOB) AS target FROM jfs_symlink').map((row) => [
        big(row, 'inode'),
        latin1(row, 'target'),
      ]),
    ),
    xattrs: new Map(
      rows(
        'SELECT inode, CAST(name AS BLOB) AS name, CAST(value AS BLOB) AS value FROM jfs_xattr',
      ).map((row) => [`${big(row, 'inode')} ${latin1(row, 'name')}`, latin1(row, 'value')]),
    ),
    chunks: new Map(
      rows('SELECT inode, indx, CAST(slices AS BLOB) AS slices FROM jfs_chunk').map((row) => [
        `${big(row, 'inode')}_${big(row, 'indx')}`,
        decodeSliceRecords(row['slices'] as Uint8Array) ?? [],
      ]),
    ),
    refs: new Map(
      rows('SELECT chunkid, size, refs FROM jfs_chunk_ref').map((row) => [
        `${big(row, 'chunkid')}_${big(row, 'size')}`,
        Number(big(row, 'refs')),
      ]),
    ),
    storesSingleRefs: true,
    delayed: rows('SELECT CAST(slices AS BLOB) AS slices FROM jfs_delslices').flatMap((row) => {
      const value = Buffer.from(row['slices'] as Uint8Array);
      return Array.from(
        { length: value.byteLength / 12 },
        (_, index) => `${value.readBigUInt64BE(index * 12)}_${value.readUInt32BE(index * 12 + 8)}`,
      );
    }),
    usedSpace: counter('usedSpace'),
    totalInodes: counter('totalInodes'),
    dirStats: new Map(
      rows('SELECT * FROM jfs_dir_stats').map((row) => [
        big(row, 'inode'),
        {
          length: big(row, 'data_length'),
          space: big(row, 'used_space'),
          inodes: big(row, 'used_inodes'),
        },
      ]),
    ),
    dirQuotas: new Map(
      rows('SELECT * FROM jfs_dir_quota').map((row) => [big(row, 'inode'), quotaOf(row)]),
    ),
    ownerQuotas: new Map(
      rows('SELECT * FROM jfs_user_group_quota').map((row) => [
        `${big(row, 'qtype') === 1n ? 'user' : 'group'} ${big(row, 'qkey')}`,
        quotaOf(row),
      ]),
    ),
    deleted: new Map(
      rows('SELECT * FROM jfs_delfile').map((row) => [big(row, 'inode'), big(row, 'length')]),
    ),
    sustained: rows('SELECT sid, inode FROM jfs_sustained ORDER BY sid, inode').map(
      (row) => `${big(row, 'sid')} ${big(row, 'inode')}`,
    ),
    locks: locksOf(rows),
  };
}

function locksOf(rows: (sql: string) => Cells[]): string[] {
  const holder = (row: Cells) => {
    const owner = BigInt.asUintN(64, big(row, 'owner')).toString(16).toUpperCase();
    return `${big(row, 'inode')} ${big(row, 'sid')}_${owner.padStart(16, '0')}`;
  };
  const flocks = rows('SELECT * FROM jfs_flock').map(
    (row) => `f ${holder(row)} ${String.fromCharCode(Number(big(row, 'ltype')))}`,
  );
  const plocks = rows('SELECT inode, sid, owner, CAST(records AS BLOB) AS records FROM jfs_plock');
  const hex = (row: Cells) => Buffer.from(row['records'] as Uint8Array).toString('hex');
  return [...flocks, ...plocks.map((row) => `p ${holder(row)} ${hex(row)}`)].sort();
}

function attrOf(row: Cells): Attr {
  const number = (column: string) => Number(big(row, column));
  const time = (column: string): Timespec => ({
    seconds: Number(big(row, column) / 1_000_000n),
    nanoseconds: Number((big(row, column) % 1_000_000n) * 1000n + big(row, `${column}nsec`)),
  });
  return {
    type: number('type') as FileType,
    ...{ mode: number('mode'), uid: number('uid'), gid: number('gid'), nlink: number('nlink') },
    ...{ atime: time('atime'), mtime: time('mtime'), ctime: time('ctime') },
    ...{ length: big(row, 'length'), rdev: number('rdev'), parent: toIno(big(row, 'parent')) },
    ...{ flags: number('flags'), accessAclId: number('access_acl_id') },
    ...{ defaultAclId: number('default_acl_id'), tier: number('tier_id') },
  };
}

function big(row: Cells, column: string): bigint {
  return (row[column] as bigint | null) ?? 0n;
}
