import type { Table } from '../script.ts';

/** mkdir(2). */
export const mkdirTable: Table = {
  'makes a directory of the caller': `
    alice: mkdir d 750
    stat d mode,uid,gid,nlink,type -> 750,1101,1101,2,dir
    ls d -> nothing`,
  'takes the umask away': `
    umask 77
    mkdir d 777
    stat d mode -> 700`,
  'counts as a link of its parent, and touches it': `
    mkdir d 755
    mark d
    mkdir d/e 755
    changed d -> mtime,ctime
    stat d nlink -> 3
    mkdir d/f 755
    stat d nlink -> 4`,
  'keeps sticky, but not set-gid and set-uid': `
    mkdir d 7777
    stat d mode -> 1777`,
  'inherits the group and the bit of a set-gid directory': `
    mkdir d 777
    chown d 0 2000
    chmod d 2777
    alice: mkdir d/e 755
    stat d/e mode,gid -> 2755,2000`,
  'refuses what is there': `
    create f 644
    mkdir d 755
    symlink nothing s
    mkdir f 755 -> EEXIST
    mkdir d 755 -> EEXIST
    mkdir s 755 -> EEXIST
    mkdir . 755 -> EEXIST
    mkdir d/.. 755 -> EEXIST
    mkdir f/ 755 -> EEXIST`,
  'needs a directory above': `
    create f 644
    mkdir d/e 755 -> ENOENT
    mkdir f/e 755 -> ENOTDIR
    symlink a b
    symlink b a
    mkdir a/e 755 -> ELOOP
    mkdir '' 755 -> ENOENT`,
  'takes names of 255 bytes': `
    mkdir n{255} 755
    mkdir n{256} 755 -> ENAMETOOLONG
    mkdir n{255}/n{255} 755
    mkdir n{4097} 755 -> ENAMETOOLONG`,
  'is refused by permissions': `
    mkdir d 755
    alice: mkdir d/e 755 -> EACCES
    chmod d 773
    alice: mkdir d/e 755
    chmod d 772
    alice: mkdir d/f 755 -> EACCES
    chown d 0 2000
    carol: mkdir d/f 755`,
  'a name with a slash at its end is fine': `
    mkdir d/ 755
    mkdir d/e// 755
    ls d -> e`,
};
