import type { Table } from '../script.ts';

/** rename(2) and renameat2(2). */
export const renameTable: Table = {
  'moves a file, and touches both directories': `
    mkdir a 755
    mkdir b 755
    create a/f 644 content
    mark a b a/f
    rename a/f b/g
    changed a -> mtime,ctime
    changed b -> mtime,ctime
    cat b/g -> content
    ls a -> nothing
    ls b -> g`,
  'changes the ctime of what is moved': `
    create f 644
    open %a f r
    mark %a
    rename f g
    changed %a -> ctime
    lstat %a nlink -> 1`,
  'replaces a file': `
    create f 644 new
    create g 600 old
    open %a g r
    rename f g
    cat g -> new
    stat g mode,nlink -> 644,1
    ls . -> g
    read %a 9 -> old
    lstat %a nlink -> 0`,
  'replaces one of two names of a file': `
    create f 644 new
    create g 600 old
    link g h
    mark h
    rename f g
    stat h nlink -> 1
    changed h -> ctime
    cat h -> old`,
  'does nothing with two names of one file': `
    create f 644
    link f g
    mark f
    rename f g
    changed f -> none
    stat f nlink -> 2
    ls . -> f,g
    rename f f
    rename f g noreplace -> EEXIST`,
  'replaces an empty directory, and moves the link of a parent': `
    mkdir a 755
    mkdir b 755
    mkdir a/d 755
    create a/d/f 644
    mkdir b/e 755
    stat a nlink -> 3
    rename a/d b/e
    stat a nlink -> 2
    stat b nlink -> 3
    ls b/e -> f
    lstat b/e/.. nlink -> 3`,
  'moves a directory to another parent': `
    mkdir a 755
    mkdir b 755
    mkdir a/d 755
    rename a/d b/d
    stat a nlink -> 2
    stat b nlink -> 3`,
  'replaces no directory with something in it': `
    mkdir d 755
    mkdir e 755
    create e/f 644
    rename d e -> ENOTEMPTY
    create f 644
    rename d f -> ENOTDIR
    rename f d -> EISDIR
    rename f e -> EISDIR
    symlink x s
    rename d s -> ENOTDIR
    rename s d -> EISDIR`,
  'moves no directory below itself, or over one above': `
    mkdir d 755
    mkdir d/e 755
    mkdir d/e/f 755
    rename d d/e/x -> EINVAL
    rename d d/e -> EINVAL
    rename d/e/f d -> ENOTEMPTY
    rename d/e d -> ENOTEMPTY
    rename d d/x -> EINVAL`,
  'renames no dots': `
    mkdir d 755
    rename d/. e -> EBUSY
    rename d/.. e -> EBUSY
    rename . e -> EBUSY
    create f 644
    rename f d/. -> EBUSY
    rename f d/.. -> EBUSY`,
  'needs what is to be moved, and directories above': `
    create f 644
    mkdir d 755
    rename x y -> ENOENT
    rename x/y z -> ENOENT
    rename f x/y -> ENOENT
    rename f/x y -> ENOTDIR
    rename d f/x -> ENOTDIR
    rename f x/ -> ENOTDIR
    rename f/ x -> ENOTDIR
    rename '' x -> ENOENT
    rename f '' -> ENOENT
    rename d x/
    ls . -> f,x`,
  'takes names of 255 bytes': `
    create f 644
    rename f n{256} -> ENAMETOOLONG
    rename n{256} f -> ENAMETOOLONG
    rename f n{255}
    ls . -> n{255}`,
  'moves the symlink and not what it names': `
    create f 644 content
    symlink f s
    rename s t
    readlink t -> f
    create g 644
    rename g t
    lstat t type -> file
    cat f -> content`,
  'is refused by permissions': `
    mkdir a 777
    mkdir b 777
    create a/f 666
    chmod a 755
    alice: rename a/f b/f -> EACCES
    chmod a 777
    chmod b 755
    alice: rename a/f b/f -> EACCES
    chmod b 776
    alice: rename a/f b/f -> EACCES
    chmod b 777
    alice: rename a/f b/f`,
  'a directory that changes its parent must be writable': `
    mkdir a 777
    mkdir b 777
    mkdir a/d 755
    alice: rename a/d b/d -> EACCES
    alice: rename a/d a/e
    chown a/e 1101 1101
    chmod a/e 555
    alice: rename a/e b/e -> EACCES
    chmod a/e 755
    alice: rename a/e b/e`,
  'out of and in a sticky directory is for owners': `
    mkdir a 1777
    mkdir b 777
    alice: create a/f 666
    bob: rename a/f b/f -> EPERM
    bob: rename a/f a/g -> EPERM
    alice: rename a/f a/g
    bob: create a/h 666
    alice: rename a/g a/h -> EPERM
    bob: create b/x 666
    bob: rename b/x a/g -> EPERM
    chown a 1102 1102
    bob: rename a/g b/g
    alice: create b/y 666
    alice: rename b/y a/h -> EPERM`,
  'a directory of others in a sticky directory stays': `
    mkdir a 1777
    alice: mkdir a/d 777
    bob: rename a/d a/e -> EPERM
    bob: mkdir a/f 777
    bob: rename a/f a/d -> EPERM
    alice: rename a/d a/e`,
  'RENAME_NOREPLACE keeps what is there': `
    create f 644 one
    create g 644 two
    mkdir d 755
    symlink nothing s
    rename f g noreplace -> EEXIST
    rename f d noreplace -> EEXIST
    rename f s noreplace -> EEXIST
    rename x g noreplace -> ENOENT
    rename f h noreplace
    cat h -> one
    cat g -> two`,
  'RENAME_EXCHANGE swaps anything': `
    create f 644 one
    mkdir d 755
    create d/x 644
    rename f d exchange
    cat d -> one
    ls f -> x
    rename f y exchange -> ENOENT
    rename y f exchange -> ENOENT
    symlink d s
    rename s f exchange
    readlink f -> d
    ls s -> x`,
  'RENAME_EXCHANGE moves links of parents, and touches all': `
    mkdir a 755
    mkdir b 755
    mkdir a/d 755
    create b/f 644
    mark a b a/d b/f
    rename a/d b/f exchange
    changed a -> mtime,ctime
    changed b -> mtime,ctime
    stat a nlink -> 2
    stat b nlink -> 3
    lstat a/d type -> file
    lstat b/f type -> dir`,
  'RENAME_EXCHANGE changes the ctimes of both': `
    create f 644
    create g 644
    open %f f r
    open %g g r
    mark %f %g
    rename f g exchange
    changed %f -> ctime
    changed %g -> ctime`,
  'RENAME_EXCHANGE needs rights on both sides': `
    mkdir a 1777
    mkdir b 777
    alice: create a/f 666
    bob: create b/g 666
    bob: rename b/g a/f exchange -> EPERM
    bob: rename a/f b/g exchange -> EPERM
    alice: rename a/f b/g exchange
    mkdir c 755
    create c/h 666
    alice: rename b/g c/h exchange -> EACCES`,
  'RENAME_EXCHANGE makes no circle': `
    mkdir a 755
    mkdir a/b 755
    rename a a/b exchange -> EINVAL
    rename a/b a exchange -> EINVAL
    mkdir a/b/c 755
    rename a/b/c a exchange -> EINVAL`,
  'refuses flags that exclude each other, and others': `
    create f 644
    create g 644
    rename f g both -> EINVAL
    rename f g unknown -> EINVAL`,
  'a descriptor goes along with its file': `
    create f 644 one
    open %a f rw
    rename f g
    create f 644 two
    pwrite %a 1 0 -> 1
    cat g -> 1ne
    cat f -> two`,
};
