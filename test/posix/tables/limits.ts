import type { Table } from '../script.ts';

/**
 * A volume of 1 GiB and 400 inodes, and quotas in it: `../bytes` may have 1 MiB, `../inodes` two inodes,
 * carol two inodes anywhere. A file is charged with its length, whether there are holes in it or not. As with
 * stock clients what a rename replaces makes no room for what it brings, a name more counts as an inode
 * while it is looked whether there is room, and to give something away is not limited.
 */
export const limitsTable: Table = {
  'a full volume takes no more bytes, and less again': `
    create f 644
    truncate f 1073741824 -> ENOSPC
    stat f size -> 0
    truncate f 1070000000
    create g 644 0123
    open %g g rw
    truncate g 10000000 -> ENOSPC
    truncate %g 10000000 -> ENOSPC
    fallocate %g plain 0 10000000 -> ENOSPC
    fallocate %g zero 0 10000000 -> ENOSPC
    open %f f rw
    copy %f 0 %g 4 10000000 -> ENOSPC
    stat g size -> 4
    cat g -> 0123
    truncate f 0
    truncate %g 10000000
    unlink f
    unlink g`,
  'written bytes that have no room are told by fsync, and by all that follows': `
    create f 644
    truncate f 1070000000
    create g 644 0123
    open %g g rw
    pwrite %g x 10000000 -> 1
    fsync %g -> ENOSPC
    pwrite %g x 4 -> ENOSPC
    fsync %g -> ENOSPC
    close %g -> ENOSPC
    cat g -> 0123
    open %g g rw
    pwrite %g 4 4 -> 1
    fsync %g
    cat g -> 01234
    unlink f
    unlink g`,
  'a volume with all its inodes takes no more, and goes on with those that it has': `
    mkdir d 777
    create f 644 0123
    many d/x 500 -> ENOSPC
    create g 644 -> ENOSPC
    open %a g w|creat 644 -> ENOSPC
    mkdir g 755 -> ENOSPC
    mknod g fifo 644 -> ENOSPC
    symlink f g -> ENOSPC
    alice: create g 644 -> ENOSPC
    link f h
    rename h i
    chmod f 600
    open %f f rw|creat 644
    pwrite %f 4 4 -> 1
    fsync %f
    ls . -> d,f,i
    unlink i
    emptied d
    create g 644`,
  'a quota holds for the bytes of all that is below': `
    mkdir ../bytes/d 777
    create ../bytes/d/f 644 0123
    open %f ../bytes/d/f rw
    truncate ../bytes/d/f 2000000 -> EDQUOT
    truncate %f 2000000 -> EDQUOT
    fallocate %f plain 0 2000000 -> EDQUOT
    create g 644
    truncate g 2000000
    open %g g r
    copy %g 0 %f 0 2000000 -> EDQUOT
    pwrite %f x 2000000 -> 1
    fsync %f -> EDQUOT
    close %f -> EDQUOT
    cat ../bytes/d/f -> 0123
    rename g ../bytes/d/g -> EDQUOT
    link g ../bytes/d/g -> EDQUOT
    rename g ../bytes/d/f -> EDQUOT
    rename g ../bytes/d/f exchange -> EDQUOT
    mkdir e 755
    rename g e/g
    rename e ../bytes/e -> EDQUOT
    truncate e/g 500000
    rename e ../bytes/e
    rename ../bytes/e e
    truncate ../bytes/d/f 500000
    truncate ../bytes/d/f 0
    unlink ../bytes/d/f
    rmdir ../bytes/d`,
  'a quota holds for the inodes of all that is below': `
    mkdir ../inodes/d 777
    create ../inodes/d/f 666
    create ../inodes/g 644 -> EDQUOT
    open %a ../inodes/d/g w|creat 644 -> EDQUOT
    mkdir ../inodes/d/e 755 -> EDQUOT
    mknod ../inodes/d/p fifo 644 -> EDQUOT
    symlink f ../inodes/d/s -> EDQUOT
    create g 644
    rename g ../inodes/g -> EDQUOT
    rename g ../inodes/d/g noreplace -> EDQUOT
    rename g ../inodes/d/f exchange -> EDQUOT
    rename g ../inodes/d/f -> EDQUOT
    rename ../inodes/d/f ../inodes/h
    alice: open %b ../inodes/h r|creat 644
    unlink ../inodes/h
    rmdir ../inodes/d`,
  'a quota of a user holds wherever the files are': `
    carol: create f 644
    carol: mkdir d 755
    carol: create g 644 -> EDQUOT
    carol: mkdir g 755 -> EDQUOT
    carol: mknod g fifo 644 -> EDQUOT
    carol: symlink f g -> EDQUOT
    carol: link f g -> EDQUOT
    carol: rename f g
    create h 644
    chown h 1103 1103
    carol: unlink g
    carol: create f 644 -> EDQUOT
    carol: unlink h
    carol: create f 644
    alice: create i 644
    unlink f
    rmdir d`,
};
