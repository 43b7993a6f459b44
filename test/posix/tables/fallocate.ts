import type { Table } from '../script.ts';

/** fallocate(2). */
export const fallocateTable: Table = {
  'grows a file, or not': `
    open %a f rw|creat 644
    fallocate %a plain 0 100
    stat f size -> 100
    fallocate %a keep 100 100
    stat f size -> 100
    fallocate %a plain 0 50
    stat f size -> 100`,
  'makes holes within': `
    open %a f rw|creat 644
    pwrite %a 123456789 0 -> 9
    fallocate %a punchkeep 2 3
    pread %a 20 0 -> 120006789
    fallocate %a punchkeep 7 90
    pread %a 20 0 -> 120006700
    stat f size -> 9`,
  'writes zeros, and grows or not': `
    open %a f rw|creat 644
    pwrite %a 123456789 0 -> 9
    fallocate %a zerokeep 7 9
    stat f size -> 9
    fallocate %a zero 3 2
    pread %a 20 0 -> 123006700
    fallocate %a zero 8 4
    stat f size -> 12
    pread %a 20 0 -> 123006700000`,
  'changes mtime and ctime': `
    open %a f rw|creat 644
    pwrite %a 123456789 0 -> 9
    mark f
    fallocate %a plain 0 100
    changed f -> mtime,ctime
    mark f
    fallocate %a punchkeep 0 4
    changed f -> mtime,ctime`,
  'takes set-uid and set-gid away': `
    create f 666 0123
    chmod f 6777
    alice: open %a f rw
    alice: fallocate %a plain 0 100
    stat f mode -> 777`,
  'refuses what cannot be': `
    open %a f rw|creat 644
    fallocate %a plain 0 0 -> EINVAL
    fallocate %a plain -1 5 -> EINVAL
    fallocate %a plain 0 -1 -> EINVAL
    fallocate %a punch 0 5 -> ENOTSUP
    fallocate %a plain 9223372036854775000 100 -> EFBIG
    open %r f r
    fallocate %r plain 0 5 -> EBADF
    mkdir d 755
    open %d d r
    fallocate %d plain 0 5 -> EBADF`,
  'collapses and inserts ranges': `
    open %a f rw|creat 644
    truncate f 12288
    fallocate %a collapse 0 4096
    stat f size -> 8192
    fallocate %a insert 0 4096
    stat f size -> 12288`,
};
