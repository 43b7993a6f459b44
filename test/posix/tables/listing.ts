import type { Table } from '../script.ts';

/** getdents(2): directories that are read, also while they change. */
export const listingTable: Table = {
  'lists every name once, and both dots': `
    mkdir d 755
    many d/a 120
    open %d d r
    readsome %d 9999
    seen a -> 120,0
    seen . -> 2,0`,
  'lists what stays once while other names are removed': `
    mkdir d 755
    many d/a 80
    many d/b 80
    open %d d r
    readsome %d 2
    gone d/b 80
    readsome %d 9999
    seen a -> 80,0`,
  'lists what stays once while other names are added': `
    mkdir d 755
    many d/a 80
    open %d d r
    readsome %d 2
    many d/b 80
    readsome %d 9999
    seen a -> 80,0
    open %e d r
    relist
    readsome %e 9999
    seen b -> 80,0`,
  'begins again from its start': `
    mkdir d 755
    create d/one 644
    open %d d r
    readsome %d 9
    create d/two 644
    lseek %d 0 set -> 0
    readsome %d 9
    seen one -> 1,1
    seen two -> 1,0`,
  'shows a change at once': `
    mkdir d 755
    ls d -> nothing
    create d/f 644
    ls d -> f
    rename d/f d/g
    ls d -> g
    unlink d/g
    ls d -> nothing`,
  'needs the right to read, and a directory': `
    mkdir d 711
    alice: ls d -> EACCES
    create f 644
    ls f -> ENOTDIR
    ls x -> ENOENT`,
  'a full directory is emptied while it is read': `
    mkdir d 755
    many d/a 100
    emptied d
    ls d -> nothing
    rmdir d`,
};
