import type { Table } from '../script.ts';

/** symlink(2) and readlink(2). */
export const symlinkTable: Table = {
  'keeps its target as it is': `
    alice: symlink ../a//b/./c s
    readlink s -> ../a//b/./c
    lstat s type,mode,uid,gid,size,nlink -> link,777,1101,1101,11,1`,
  'touches the directory': `
    mkdir d 755
    mark d
    symlink x d/s
    changed d -> mtime,ctime
    stat d nlink -> 2`,
  'the umask has no part in it': `
    umask 777
    symlink x s
    lstat s mode -> 777`,
  'takes targets up to 4095 bytes': `
    symlink t{4095} s
    lstat s size -> 4095
    symlink t{4096} u -> ENAMETOOLONG
    symlink '' v -> ENOENT
    symlink n{300} w
    open %a w r -> ENAMETOOLONG`,
  'refuses what is there': `
    create f 644
    symlink x s
    symlink y f -> EEXIST
    symlink y s -> EEXIST
    symlink y . -> EEXIST`,
  'needs a directory above': `
    create f 644
    symlink x d/s -> ENOENT
    symlink x f/s -> ENOTDIR
    symlink x n{256} -> ENAMETOOLONG
    symlink x n{255}`,
  'is refused by permissions': `
    mkdir d 755
    alice: symlink x d/s -> EACCES`,
  'only symlinks have a target': `
    create f 644
    mkdir d 755
    readlink f -> EINVAL
    readlink d -> EINVAL
    readlink x -> ENOENT
    readlink f/x -> ENOTDIR
    readlink n{256} -> ENAMETOOLONG`,
  'forty in a row are followed, and not one more': `
    create l0 644 end
    symlinkmany 41
    cat l40 -> end
    cat l41 -> ELOOP`,
  'inherits the group of a set-gid directory': `
    mkdir d 777
    chown d 0 2000
    chmod d 2777
    alice: symlink x d/s
    lstat d/s gid,mode -> 2000,777`,
};
