import type { Table } from '../script.ts';

/** write(2) and what it does to modes. */
export const writeTable: Table = {
  'by others takes set-uid and set-gid away, by root not': `
    create f 666 0123
    chmod f 6777
    open %a f rw
    pwrite %a x 0 -> 1
    stat f mode -> 6777
    alice: open %a f rw
    alice: pwrite %a y 0 -> 1
    stat f mode -> 777`,
  'by a stranger takes set-gid without execution away': `
    create f 666
    chmod f 2767
    alice: open %a f rw
    alice: pwrite %a y 0 -> 1
    stat f mode -> 767`,
  'of the owner takes them away, too': `
    create f 666 0123
    chown f 1101 1101
    chmod f 6777
    alice: open %a f rw
    alice: pwrite %a y 0 -> 1
    stat f mode -> 777`,
  'the descriptor stands where it wrote': `
    open %a f rw|creat 644
    write %a abc -> 3
    write %a def -> 3
    lseek %a 0 cur -> 6
    lseek %a 1 set -> 1
    write %a X -> 1
    cat f -> aXcdef`,
  'shows its length and its time at once': `
    open %a f rw|creat 644
    mark f
    pwrite %a abc 0 -> 3
    stat f size -> 3
    changed f -> mtime,ctime
    mark f
    pwrite %a abc 1 -> 3
    lstat %a size -> 4
    changed f -> mtime,ctime`,
  'too far is EFBIG': `
    open %a f rw|creat 644
    pwrite %a x 9223372036854774784 -> EFBIG
    stat f size -> 0`,
};
