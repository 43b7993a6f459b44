import type { Table } from '../script.ts';

/** chmod(2) and fchmod(2). */
export const chmodTable: Table = {
  'sets all bits, and the ctime': `
    create f 644
    mark f
    chmod f 7531
    stat f mode -> 7531
    changed f -> ctime
    open %a f r
    chmod %a 600
    stat f mode -> 600
    mkdir d 755
    chmod d 3700
    stat d mode -> 3700`,
  'the same mode changes the ctime, too': `
    create f 644
    mark f
    chmod f 644
    changed f -> ctime`,
  'is for the owner': `
    create f 644
    alice: chmod f 666 -> EPERM
    chown f 1101 1101
    alice: chmod f 666
    bob: chmod f 600 -> EPERM
    carol: chmod f 600 -> EPERM
    alice: open %a f r
    alice: chmod %a 640
    stat f mode -> 640`,
  'set-gid of a group of others is dropped': `
    create f 644
    chown f 1101 2000
    alice: chmod f 2755
    stat f mode -> 755
    chown f 1103 2000
    carol: chmod f 2755
    stat f mode -> 2755
    mkdir d 755
    chown d 1101 2000
    alice: chmod d 2755
    stat d mode -> 755`,
  'sticky on a file is for everybody on Linux': `
    create f 644
    chown f 1101 1101
    alice: chmod f 1644
    stat f mode -> 1644`,
  'follows symlinks': `
    create f 644
    symlink f s
    chmod s 600
    stat f mode -> 600
    lstat s mode -> 777`,
  'needs a name that is there': `
    create f 644
    chmod x 644 -> ENOENT
    chmod f/x 644 -> ENOTDIR
    chmod '' 644 -> ENOENT
    chmod n{256} 644 -> ENAMETOOLONG
    mkdir d 700
    create d/f 644
    alice: chmod d/f 644 -> EACCES
    symlink a b
    symlink b a
    chmod a 644 -> ELOOP`,
};
