import type { Table } from '../script.ts';

/** open(2), creat, and what an open descriptor may do. */
export const openTable: Table = {
  'makes a file with the mode, the user and the group of the caller': `
    alice: open %a f rw|creat 640
    stat f mode,uid,gid,size,nlink,type -> 640,1101,1101,0,1,file`,
  'takes the umask away': `
    umask 027
    create f 666
    stat f mode -> 640`,
  'keeps set-uid, set-gid and sticky that are asked for': `
    create f 7777
    stat f mode -> 7777`,
  'touches the directory when a file is made, and not when there is one': `
    mkdir d 755
    mark d
    create d/f 644
    changed d -> mtime,ctime
    mark d d/f
    open %a d/f rw|creat 600
    changed d -> none
    changed d/f -> none
    stat d/f mode -> 644`,
  'gives a new file three equal times': `
    create f 644
    mkdir d 755
    symlink x s
    stat f equaltimes -> true
    stat d equaltimes -> true
    lstat s equaltimes -> true`,
  'cuts a file, which changes its times': `
    create f 644 content
    mark f
    open %a f w|trunc
    changed f -> mtime,ctime
    stat f size -> 0`,
  'cuts an empty file, which changes its times, too': `
    create f 644
    mark f
    open %a f w|trunc
    changed f -> mtime,ctime`,
  'refuses what is there when it must be new': `
    create f 644
    mkdir d 755
    symlink nothing s
    open %a f w|creat|excl 644 -> EEXIST
    open %a d w|creat|excl 644 -> EEXIST
    open %a s w|creat|excl 644 -> EEXIST`,
  'follows a symlink to make a file': `
    symlink target s
    open %a s w|creat 644
    lstat target type -> file`,
  'needs a name that exists without O_CREAT': `
    open %a f r -> ENOENT
    open %a d/f w|creat 644 -> ENOENT
    symlink nothing s
    open %a s r -> ENOENT
    open %a '' r -> ENOENT`,
  'needs a directory above': `
    create f 644
    open %a f/x r -> ENOTDIR
    open %a f/x w|creat 644 -> ENOTDIR
    open %a f/ r -> ENOTDIR`,
  'opens no directory to write': `
    mkdir d 777
    open %a d w -> EISDIR
    open %a d rw -> EISDIR
    open %a d w|trunc -> EISDIR
    open %a d r|creat 644 -> EISDIR
    open %a d r
    read %a 1 -> EISDIR`,
  'opens only directories with O_DIRECTORY': `
    create f 644
    mkdir d 755
    symlink d s
    open %a f r|dir -> ENOTDIR
    open %a d r|dir
    open %b s r|dir`,
  'follows no symlink with O_NOFOLLOW': `
    create f 644
    symlink f s
    open %a s r|nofollow -> ELOOP
    open %a f r|nofollow`,
  'gives up on a circle of symlinks': `
    symlink a b
    symlink b a
    open %a a r -> ELOOP
    open %a a/x r -> ELOOP
    open %a b w|creat 644 -> ELOOP`,
  'takes names of 255 bytes and paths of 4095': `
    create n{255} 644
    create n{256} 644 -> ENAMETOOLONG
    open %a n{256} r -> ENAMETOOLONG
    open %a n{256}/x r -> ENAMETOOLONG
    mkdir d 755
    create d/n{255} 644
    ls d -> n{255}
    create d/f 644 content
    cat d/{4093}f -> content
    cat d/{4094}f -> ENAMETOOLONG
    create ü{127} 644
    create ü{128} 644 -> ENAMETOOLONG
    open %a d/.{1}/n{4100} r -> ENAMETOOLONG`,
  'is refused by permissions': `
    create f 640 secret
    alice: open %a f r -> EACCES
    alice: open %a f w -> EACCES
    chown f 1102 1101
    alice: open %a f r
    alice: read %a 9 -> secret
    alice: open %b f rw -> EACCES
    carol: open %a f r
    bob: open %a f rw
    chmod f 40
    bob: open %b f r -> EACCES
    alice: open %b f r`,
  'gives nothing of the group or the rest to the owner, and nothing of the rest to the group': `
    create f 77
    chown f 1101 1102
    alice: open %a f r -> EACCES
    bob: open %a f r
    chmod f 7
    bob: open %b f r -> EACCES
    carol: open %a f r`,
  'needs to search all directories above': `
    mkdir d 755
    mkdir d/e 755
    create d/e/f 644
    chmod d 700
    alice: open %a d/e/f r -> EACCES
    chmod d 711
    alice: open %a d/e/f r
    chmod d/e 744
    alice: open %a d/e/f r -> EACCES`,
  'needs to write the directory to make a file, and not to open one': `
    mkdir d 755
    create d/f 666
    alice: open %a d/new w|creat 644 -> EACCES
    alice: open %a d/f w|creat 644
    mkdir g 770
    chown g 0 2000
    carol: create g/f 644
    alice: create g/f2 644 -> EACCES
    stat g/f uid,gid -> 1103,1103`,
  'inherits the group of a set-gid directory': `
    mkdir d 2777
    chown d 0 2000
    chmod d 2777
    alice: create d/f 644
    stat d/f uid,gid,mode -> 1101,2000,644
    alice: create d/x 2755
    stat d/x gid,mode -> 2000,755
    carol: create d/y 2755
    stat d/y gid,mode -> 2000,2755`,
  'does through a descriptor what it was opened for': `
    create f 644 0123
    open %r f r
    open %w f w
    write %r x -> EBADF
    read %w 1 -> EBADF
    truncate %r 1 -> EINVAL
    read %r 9 -> 0123
    chmod f 0
    alice: open %a f r -> EACCES
    read %r 9 -> ''
    pread %r 9 0 -> 0123`,
  'keeps the rights of a descriptor when the mode changes': `
    create f 666 0123
    alice: open %a f rw
    chmod f 0
    alice: pread %a 9 1 -> 123
    alice: pwrite %a x 0 -> 1
    cat f -> x123`,
  'appends wherever the descriptor stands': `
    create f 644 abc
    open %a f rw|append
    write %a d -> 1
    pwrite %a e 0 -> 1
    cat f -> abcde`,
  'sees through one descriptor what another has written': `
    create f 644
    open %a f rw
    open %b f rw
    write %a hello -> 5
    pread %b 9 0 -> hello
    truncate %b 2
    pread %a 9 0 -> he
    lstat %a size -> 2`,
  'reads zeros in a hole': `
    open %a f rw|creat 644
    pwrite %a x 5 -> 1
    pread %a 9 0 -> 00000x
    stat f size -> 6`,
  'opens a device that is not there with ENXIO, and a pipe that nobody reads': `
    mknod s sock 777
    mknod p fifo 777
    open %a s rw -> ENXIO
    open %a p w|nonblock -> ENXIO
    open %a p r|nonblock`,
  'reads change no mtime, and writes no atime': `
    create f 644 content
    open %a f rw
    mark f
    pwrite %a x 0 -> 1
    changed f -> mtime,ctime
    mark f
    pwrite %a y 99 -> 1
    changed f -> mtime,ctime`,
  'leaves the times alone without a byte': `
    create f 644 content
    open %a f rw
    mark f
    pwrite %a '' 0 -> 0
    changed f -> none`,
  'updates atime by a read that follows a change': `
    create f 644 content
    utimens f 1000 omit
    mark f
    cat f -> content
    changed f -> atime`,
  'O_NOATIME is for the owner': `
    create f 666 content
    chown f 1101 1101
    alice: open %a f r|noatime
    bob: open %a f r|noatime -> EPERM`,
  'seeks to data and to holes': `
    create f 644 0123
    open %a f rw
    lseek %a 1 data -> 1
    lseek %a 1 hole -> 4
    lseek %a 4 data -> ENXIO
    lseek %a 9 hole -> ENXIO
    lseek %a 9007199254740994 data -> ENXIO
    lseek %a -1 set -> EINVAL
    lseek %a 2 end -> 6
    lseek %a 0 77 -> EINVAL`,
  'syncs files and directories': `
    create f 644 content
    mkdir d 755
    open %a f r
    open %b d r
    fsync %a
    fsync %b`,
};
