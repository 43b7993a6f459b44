import type { Table } from '../script.ts';

/** truncate(2) and ftruncate(2). */
export const truncateTable: Table = {
  'cuts and grows, by name and by descriptor': `
    create f 644 0123456789
    truncate f 4
    cat f -> 0123
    truncate f 6
    open %a f rw
    pread %a 9 0 -> 012300
    truncate %a 2
    stat f size -> 2
    truncate %a 70000
    stat f size -> 70000
    pread %a 4 69999 -> 0
    pread %a 4 0 -> 0100`,
  'changes mtime and ctime': `
    create f 644 0123456789
    mark f
    truncate f 4
    changed f -> mtime,ctime
    mark f
    truncate f 9
    changed f -> mtime,ctime`,
  'to the same length changes them, too': `
    create f 644 0123
    mark f
    truncate f 4
    changed f -> mtime,ctime
    open %a f rw
    mark f
    truncate %a 4
    changed f -> mtime,ctime`,
  'a pending write is cut': `
    open %a f rw|creat 644
    write %a 0123456789 -> 10
    truncate f 3
    pread %a 20 0 -> 012
    write %a x -> 1
    pread %a 20 0 -> 0120000000x
    close %a
    cat f -> 0120000000x`,
  'cuts only files': `
    mkdir d 777
    symlink d s
    truncate d 0 -> EISDIR
    truncate s 0 -> EISDIR
    truncate x 0 -> ENOENT
    create f 644
    truncate f/x 0 -> ENOTDIR
    truncate n{256} 0 -> ENAMETOOLONG
    open %a f r
    truncate %a 0 -> EINVAL
    symlink f t
    truncate t 9
    stat f size -> 9`,
  'no negative length, and none that is too large': `
    create f 644
    truncate f -1 -> EINVAL
    truncate f 9223372036854775000 -> EFBIG
    open %a f rw
    truncate %a -1 -> EINVAL
    truncate f 1099511627776
    stat f size -> 1099511627776
    pwrite %a x 1099511627775 -> 1
    pread %a 2 1099511627774 -> 0x
    truncate f 0`,
  'needs the right to write': `
    create f 644 0123
    alice: truncate f 0 -> EACCES
    chmod f 666
    alice: truncate f 2
    mkdir d 700
    create d/f 666
    alice: truncate d/f 0 -> EACCES`,
  'by descriptor goes on when the right is gone': `
    create f 666 0123
    alice: open %a f rw
    chmod f 0
    alice: truncate %a 1
    stat f size -> 1`,
  'takes set-uid and set-gid away': `
    create f 666 0123
    chmod f 6777
    alice: truncate f 1
    stat f mode -> 777
    chmod f 6777
    alice: open %a f rw
    alice: truncate %a 0
    stat f mode -> 777`,
};
