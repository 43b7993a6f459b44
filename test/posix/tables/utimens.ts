import type { Table } from '../script.ts';

/** utimensat(2). */
export const utimensTable: Table = {
  'sets both times, and the ctime': `
    create f 644
    mark f
    utimens f 1000.5 2000.25
    stat f atime,mtime -> 1000.500000000,2000.250000000
    changed f -> atime,mtime,ctime`,
  'keeps nanoseconds': `
    create f 644
    utimens f 1.123456789 2.987654321
    stat f atime,mtime -> 1.123456789,2.987654321`,
  'sets the present': `
    create f 644
    utimens f 1 2
    mark f
    utimens f now now
    changed f -> atime,mtime,ctime`,
  'leaves one alone': `
    create f 644
    utimens f 1 2
    utimens f omit 3
    stat f atime,mtime -> 1.000000000,3.000000000
    utimens f 4 omit
    stat f atime,mtime -> 4.000000000,3.000000000
    mark f
    utimens f omit omit
    changed f -> none`,
  'the same times change the ctime': `
    create f 644
    utimens f 1 2
    mark f
    utimens f 1 2
    changed f -> ctime`,
  'times before 1970': `
    create f 644
    utimens f -1 -1000
    mark f
    utimens f -1 -1000
    changed f -> ctime`,
  'times after 2106': `
    create f 644
    utimens f 5000000000 6000000000
    stat f atime,mtime -> 5000000000.000000000,6000000000.000000000`,
  'of directories, symlinks and pipes': `
    mkdir d 755
    symlink d s
    mknod p fifo 644
    utimens d 1 2
    utimens s 3 4
    utimens p 5 6
    stat d atime,mtime -> 1.000000000,2.000000000
    lstat s atime,mtime -> 3.000000000,4.000000000
    lstat p atime,mtime -> 5.000000000,6.000000000`,
  'a time is for the owner, the present for whoever may write': `
    create f 666
    chown f 1101 1101
    bob: utimens f 1 2 -> EPERM
    bob: utimens f now omit -> EPERM
    bob: utimens f now now
    chmod f 644
    bob: utimens f now now -> EACCES
    bob: utimens f omit omit
    alice: utimens f 1 2
    chmod f 0
    alice: utimens f now now
    alice: utimens f 3 4`,
  'what is written later is newer': `
    open %a f rw|creat 644
    pwrite %a x 0 -> 1
    utimens f 1 2
    stat f mtime -> 2.000000000
    close %a
    stat f atime,mtime -> 1.000000000,2.000000000
    open %a f rw
    mark f
    pwrite %a y 0 -> 1
    changed f -> mtime,ctime`,
  'takes names of 255 bytes': `
    utimens n{256} now now -> ENAMETOOLONG
    create n{255} 644
    utimens n{255} now now`,
  'a bad number of nanoseconds': `
    create f 644
    utimens f 1.2000000000 2 -> EINVAL`,
};
