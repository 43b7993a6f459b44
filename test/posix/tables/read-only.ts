import type { Table } from '../script.ts';

/**
 * A mount that only reads. In it are `file` (644, 0123), `own` (alice's), `dir/file`, `empty/`, `link` to
 * `file` and `pipe`. What was refused is looked for afterwards.
 */
export const readOnlyTable: Table = {
  'makes no names': `
    open %a new w|creat 644 -> EROFS
    open %a new r|creat 644 -> EROFS
    open %a file w|creat|excl 644 -> EEXIST
    mkdir new 755 -> EROFS
    mknod new file 644 -> EROFS
    mknod new fifo 644 -> EROFS
    mknod new chr 600 5:1 -> EROFS
    symlink file new -> EROFS
    link file new -> EROFS
    mkdir dir/new 755 -> EROFS
    ls . -> dir,empty,file,link,own,pipe`,
  'removes and moves none': `
    unlink file -> EROFS
    unlink link -> EROFS
    unlink pipe -> EROFS
    rmdir empty -> EROFS
    rename file new -> EROFS
    rename file dir/file -> EROFS
    rename file dir/file noreplace -> EEXIST
    rename file new noreplace -> EROFS
    rename file dir exchange -> EROFS
    rename dir empty -> EROFS
    ls . -> dir,empty,file,link,own,pipe
    ls dir -> file`,
  'opens nothing to write': `
    open %a file w -> EROFS
    open %a file rw -> EROFS
    open %a file w|append -> EROFS
    open %a file r|trunc -> EROFS
    open %a file w|trunc -> EROFS
    open %a file rw|creat 644 -> EROFS
    alice: open %a own rw -> EROFS
    open %a link rw -> EROFS
    cat file -> 0123`,
  'changes no attributes': `
    truncate file 0 -> EROFS
    truncate file 9 -> EROFS
    chmod file 600 -> EROFS
    chmod dir 700 -> EROFS
    chown file 1101 1101 -> EROFS
    lchown link 1101 1101 -> EROFS
    utimens file 1000 1000 -> EROFS
    utimens file now now -> EROFS
    alice: chmod own 600 -> EROFS
    alice: utimens own now now -> EROFS
    setxattr file user.a one -> EROFS
    removexattr file user.kept -> EROFS
    setacl file access u::rw-,u:1101:rw-,g::r--,m::rw-,o::--- -> EROFS
    getxattr file user.kept -> value
    stat file mode,uid,gid,size -> 644,0,0,4
    lstat link uid -> 0`,
  'changes nothing through a descriptor': `
    open %a file r
    chmod %a 600 -> EROFS
    chown %a 1101 1101 -> EROFS
    truncate %a 0 -> EINVAL
    fallocate %a plain 0 100 -> EBADF
    write %a x -> EBADF
    fsync %a
    stat file mode,uid,size -> 644,0,4`,
  'what is not there, or may not be, is told as elsewhere': `
    open %a x r -> ENOENT
    unlink x -> ENOENT
    rmdir dir -> EROFS
    open %a file/x w|creat 644 -> ENOTDIR
    alice: open %a own/x r -> ENOTDIR
    mkdir dir 755 -> EEXIST
    create n{256} 644 -> ENAMETOOLONG`,
  'reads, lists and locks': `
    cat dir/file -> inside
    readlink link -> file
    access file r
    alice: access file w -> EACCES
    open %a file r
    flock %a sh
    lock %a r 0 4
    listxattr file -> user.kept
    lstat pipe type -> fifo`,
};
