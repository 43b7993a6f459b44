import type { Table } from '../script.ts';

/** setxattr(2), getxattr(2), listxattr(2) and removexattr(2). */
export const xattrTable: Table = {
  'sets, replaces, lists and removes': `
    create f 644
    setxattr f user.a one
    setxattr f user.b two
    getxattr f user.a -> one
    listxattr f -> user.a,user.b
    setxattr f user.a longer-than-before
    getxattr f user.a -> longer-than-before
    removexattr f user.a
    getxattr f user.a -> ENODATA
    listxattr f -> user.b`,
  'creates or replaces only when told': `
    create f 644
    setxattr f user.a one replace -> ENODATA
    setxattr f user.a one create
    setxattr f user.a two create -> EEXIST
    getxattr f user.a -> one
    setxattr f user.a two replace
    getxattr f user.a -> two`,
  'changes the ctime': `
    create f 644
    mark f
    setxattr f user.a one
    changed f -> ctime
    mark f
    removexattr f user.a
    changed f -> ctime`,
  'an empty value is a value': `
    create f 644
    setxattr f user.a ''
    listxattr f -> user.a
    getxattr f user.a 0 -> 0`,
  'tells the length, and a buffer that is too small': `
    create f 644
    setxattr f user.a 12345
    getxattr f user.a 0 -> 5
    getxattr f user.a 4 -> ERANGE
    getxattr f user.a 5 -> 12345
    listxattr f 0 -> 7
    listxattr f 3 -> ERANGE`,
  'takes names of 255 bytes and values of 3000': `
    create f 644
    setxattr f user.n{250} x
    setxattr f user.n{251} x -> ERANGE
    removexattr f user.n{250}
    setxattr f user.a v{3000}
    getxattr f user.a -> 3000 bytes
    setxattr f user.b v{65537} -> E2BIG
    getxattr f user.n{251} -> ERANGE
    setxattr f '' x -> ERANGE`,
  'takes names that Linux knows': `
    create f 644
    setxattr f user. x -> EINVAL
    setxattr f nowhere.a x -> ENOTSUP`,
  'needs the right to write, or to read': `
    create f 644
    setxattr f user.a one
    alice: getxattr f user.a -> one
    alice: setxattr f user.a two -> EACCES
    alice: removexattr f user.a -> EACCES
    chmod f 600
    alice: getxattr f user.a -> EACCES
    alice: listxattr f -> user.a
    chmod f 666
    alice: setxattr f user.a two
    alice: removexattr f user.a`,
  'of the user are for files and directories only': `
    mkdir d 755
    setxattr d user.a one
    getxattr d user.a -> one
    symlink x s
    setxattr s user.a one -> EPERM
    mknod p fifo 644
    setxattr p user.a one -> EPERM
    getxattr p user.a -> ENODATA`,
  'in a sticky directory of others are for its owner': `
    mkdir d 1777
    alice: setxattr d user.a one -> EPERM
    setxattr d user.a one`,
  'trusted ones are for root': `
    create f 666
    setxattr f trusted.a one
    getxattr f trusted.a -> one
    alice: setxattr f trusted.a two -> EPERM
    alice: getxattr f trusted.a -> ENODATA
    alice: removexattr f trusted.a -> EPERM`,
  'need a file that is there': `
    setxattr x user.a one -> ENOENT
    getxattr x user.a -> ENOENT
    listxattr x -> ENOENT
    removexattr x user.a -> ENOENT
    create f 644
    removexattr f user.a -> ENODATA
    setxattr n{256} user.a one -> ENAMETOOLONG
    getxattr n{256} user.a -> ENAMETOOLONG
    setxattr f/x user.a one -> ENOTDIR`,
  'go with the file and not with the name': `
    create f 644
    setxattr f user.a one
    link f g
    getxattr g user.a -> one
    rename f h
    getxattr h user.a -> one
    unlink h
    unlink g
    create g 644
    listxattr g -> none`,
};
