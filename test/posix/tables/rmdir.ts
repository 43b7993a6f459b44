import type { Table } from '../script.ts';

/** rmdir(2). */
export const rmdirTable: Table = {
  'removes an empty directory, a link of its parent, and touches that': `
    mkdir d 755
    mkdir d/e 755
    stat d nlink -> 3
    mark d
    rmdir d/e
    changed d -> mtime,ctime
    stat d nlink -> 2
    ls d -> nothing`,
  'removes nothing with something in it': `
    mkdir d 755
    create d/f 644
    rmdir d -> ENOTEMPTY
    unlink d/f
    symlink x d/s
    rmdir d -> ENOTEMPTY
    unlink d/s
    mkdir d/e 755
    rmdir d -> ENOTEMPTY
    rmdir d/e
    rmdir d`,
  'removes directories only': `
    create f 644
    mkdir d 755
    symlink d s
    mknod p fifo 644
    rmdir f -> ENOTDIR
    rmdir s -> ENOTDIR
    rmdir p -> ENOTDIR
    rmdir f/x -> ENOTDIR
    rmdir x -> ENOENT
    rmdir '' -> ENOENT
    rmdir x/y -> ENOENT
    rmdir n{256} -> ENAMETOOLONG`,
  'does not remove a dot, and not two': `
    mkdir d 755
    mkdir d/e 755
    rmdir d/e/. -> EINVAL
    rmdir d/e/.. -> ENOTEMPTY
    rmdir d/ -> ENOTEMPTY
    rmdir d/e/`,
  'needs to write the parent, and nothing of the directory': `
    mkdir d 755
    mkdir d/e 777
    alice: rmdir d/e -> EACCES
    chmod d 777
    chmod d/e 0
    alice: rmdir d/e`,
  'in a sticky directory is for owners': `
    mkdir d 1777
    alice: mkdir d/a 777
    bob: rmdir d/a -> EPERM
    carol: rmdir d/a -> EPERM
    alice: rmdir d/a`,
  'a directory that is open is empty when it is gone': `
    mkdir d 755
    open %a d r
    rmdir d
    lstat %a nlink -> 0
    readsome %a 9 -> ENOENT`,
};
