import type { Table } from '../script.ts';

/** unlink(2). */
export const unlinkTable: Table = {
  'removes files, symlinks, pipes, sockets and devices': `
    create f 644
    symlink f s
    mknod p fifo 644
    mknod k sock 644
    mknod c chr 644 1:3
    unlink f
    unlink s
    unlink p
    unlink k
    unlink c
    ls . -> nothing
    lstat f type -> ENOENT`,
  'removes the symlink and not what it names': `
    create f 644
    symlink f s
    unlink s
    stat f nlink -> 1`,
  'touches the directory, and the other names of the file': `
    mkdir d 755
    create d/f 644
    link d/f d/g
    mark d d/g
    unlink d/f
    changed d -> mtime,ctime
    changed d/g -> ctime
    stat d/g nlink -> 1`,
  'removes no directory': `
    mkdir d 755
    unlink d -> EISDIR
    unlink . -> EISDIR`,
  'removes nothing that is not there': `
    create f 644
    unlink x -> ENOENT
    unlink x/y -> ENOENT
    unlink f/y -> ENOTDIR
    unlink f/ -> ENOTDIR
    unlink '' -> ENOENT
    unlink n{256} -> ENAMETOOLONG
    symlink a b
    symlink b a
    unlink a/x -> ELOOP`,
  'needs to write the directory, and nothing of the file': `
    mkdir d 755
    create d/f 666
    alice: unlink d/f -> EACCES
    chmod d 777
    chmod d/f 0
    alice: unlink d/f`,
  'in a sticky directory is for owners of the file or the directory': `
    mkdir d 1777
    alice: create d/a 666
    alice: create d/b 666
    bob: unlink d/a -> EPERM
    alice: unlink d/a
    chown d 1102 1102
    bob: unlink d/b
    create d/c 666
    alice: unlink d/c -> EPERM
    unlink d/c`,
  'a file lives until its last descriptor is closed': `
    create f 644 before
    open %a f rw
    unlink f
    lstat %a nlink,size -> 0,6
    pwrite %a after 6 -> 5
    fsync %a
    pread %a 20 0 -> beforeafter
    truncate %a 2
    lstat %a nlink,size -> 0,2
    chmod %a 600
    chown %a 1101 1101
    lstat %a mode,uid -> 600,1101
    create f 644 new
    pread %a 20 0 -> be
    cat f -> new
    close %a`,
  'changes the ctime of a file that is open': `
    create f 644
    open %a f r
    mark %a
    unlink f
    changed %a -> ctime`,
};
