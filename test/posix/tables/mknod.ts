import type { Table } from '../script.ts';

/** mknod(2). */
export const mknodTable: Table = {
  'makes files, pipes and sockets for everybody': `
    alice: mknod f file 640
    alice: mknod p fifo 620
    alice: mknod s sock 755
    lstat f type,mode,uid,gid,size -> file,640,1101,1101,0
    lstat p type,mode -> fifo,620
    lstat s type,mode -> sock,755`,
  'makes devices for root only': `
    mknod c chr 600 5:1
    mknod b blk 660 8:17
    lstat c type,mode,rdev -> chr,600,5:1
    lstat b type,mode,rdev -> blk,660,8:17
    alice: mknod x chr 600 5:1 -> EPERM
    alice: mknod x blk 600 8:1 -> EPERM`,
  'makes no directory': `
    mknod d dir 755 -> EPERM`,
  'takes the umask away': `
    umask 27
    mknod p fifo 666
    lstat p mode -> 640`,
  'touches the directory': `
    mkdir d 755
    mark d
    mknod d/p fifo 644
    changed d -> mtime,ctime
    stat d nlink -> 2`,
  'refuses what is there': `
    mkdir d 755
    symlink nothing s
    mknod d fifo 644 -> EEXIST
    mknod s fifo 644 -> EEXIST`,
  'needs a directory above': `
    create f 644
    mknod d/p fifo 644 -> ENOENT
    mknod f/p fifo 644 -> ENOTDIR
    mknod n{256} fifo 644 -> ENAMETOOLONG`,
  'is refused by permissions': `
    mkdir d 755
    alice: mknod d/p fifo 644 -> EACCES
    alice: mknod d/f file 644 -> EACCES`,
  'inherits the group of a set-gid directory': `
    mkdir d 777
    chown d 0 2000
    chmod d 2777
    alice: mknod d/p fifo 644
    stat d/p uid,gid -> 1101,2000`,
  'a device is renamed, linked and removed like a file': `
    mknod c chr 600 5:1
    rename c d
    link d e
    lstat e nlink,rdev -> 2,5:1
    unlink d
    unlink e
    ls . -> nothing`,
  'a pipe has no length to set': `
    mknod p fifo 666
    truncate p 0 -> EINVAL
    mknod s sock 666
    truncate s 0 -> EINVAL`,
};
