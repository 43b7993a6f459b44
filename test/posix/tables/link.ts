import type { Table } from '../script.ts';

/** link(2) and linkat(2). */
export const linkTable: Table = {
  'gives a file another name, and touches the directory': `
    mkdir d 755
    create f 644 content
    mark d f
    link f d/g
    changed d -> mtime,ctime
    changed f -> ctime
    stat f nlink -> 2
    stat d/g nlink -> 2
    cat d/g -> content
    unlink f
    stat d/g nlink -> 1`,
  'what is changed by one name shows by the other': `
    create f 644 content
    link f g
    chmod f 600
    stat g mode -> 600
    chown g 1101 1101
    stat f uid -> 1101
    truncate f 3
    cat g -> con
    stat g size -> 3`,
  'links symlinks, pipes, sockets and devices, too': `
    symlink x s
    link s t
    readlink t -> x
    lstat s nlink -> 2
    mknod p fifo 644
    link p q
    lstat q type,nlink -> fifo,2
    mknod k sock 644
    link k l
    lstat l type -> sock`,
  'follows a symlink when it is told to': `
    create f 644
    symlink f s
    linkfollow s g
    lstat g type,nlink -> file,2`,
  'links no directory': `
    mkdir d 755
    link d e -> EPERM
    link . e -> EPERM`,
  'refuses what is there': `
    create f 644
    create g 644
    mkdir d 755
    symlink x s
    link f g -> EEXIST
    link f f -> EEXIST
    link f d -> EEXIST
    link f s -> EEXIST
    link f . -> EEXIST`,
  'needs a file and a directory above': `
    create f 644
    link x y -> ENOENT
    link f d/y -> ENOENT
    link x/y z -> ENOENT
    link f f/x -> ENOTDIR
    link f/x y -> ENOTDIR
    link f n{256} -> ENAMETOOLONG
    link n{256} f -> ENAMETOOLONG
    link f n{255}`,
  'needs to write the directory': `
    mkdir d 755
    alice: create f 644
    alice: link f d/f -> EACCES
    chmod d 777
    alice: link f d/f
    stat f nlink -> 2`,
  'has room for many names': `
    create f 644
    mkdir d 755
    linkmany f d/ 100
    stat f nlink -> 101
    gone d/ 100
    stat f nlink -> 1`,
};
