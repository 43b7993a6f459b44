import type { Table } from '../script.ts';

/** chown(2), lchown(2) and fchown(2). */
export const chownTable: Table = {
  'sets user and group, and the ctime': `
    create f 644
    mark f
    chown f 1101 1102
    stat f uid,gid -> 1101,1102
    changed f -> ctime
    open %a f r
    chown %a 1102 1101
    stat f uid,gid -> 1102,1101`,
  '-1 leaves one alone': `
    create f 644
    chown f 1101 1102
    chown f 4294967295 7
    stat f uid,gid -> 1101,7
    chown f 8 4294967295
    stat f uid,gid -> 8,7`,
  'the same owner changes the ctime, too': `
    create f 644
    mark f
    chown f 0 0
    changed f -> ctime`,
  'the user is root’s to change, the group its members’': `
    create f 644
    chown f 1103 1103
    carol: chown f 1101 4294967295 -> EPERM
    carol: chown f 1103 1102 -> EPERM
    carol: chown f 4294967295 2000
    carol: chown f 1103 1101
    alice: chown f 4294967295 1101 -> EPERM
    stat f uid,gid -> 1103,1101`,
  'takes set-uid and set-gid away from programs': `
    create f 755
    chown f 1103 1103
    chmod f 6755
    carol: chown f 4294967295 2000
    stat f mode -> 755
    chmod f 6755
    chown f 0 0
    stat f mode -> 755
    chmod f 6755
    chown f 0 0
    stat f mode -> 755`,
  'leaves set-gid without group execution to root': `
    create f 644
    chmod f 2745
    chown f 1101 1101
    stat f mode -> 2745`,
  'leaves set-gid without group execution to its members': `
    create f 644
    chown f 1101 1101
    chmod f 6745
    alice: chown f 4294967295 1101
    stat f mode -> 2745`,
  'leaves the bits of directories alone': `
    mkdir d 755
    chown d 1103 1103
    chmod d 6755
    carol: chown d 4294967295 2000
    stat d mode -> 6755
    chown d 0 0
    stat d mode -> 6755`,
  'lchown changes the symlink': `
    create f 644
    symlink f s
    lchown s 1101 1102
    lstat s uid,gid -> 1101,1102
    stat f uid,gid -> 0,0
    chown s 5 6
    stat f uid,gid -> 5,6
    lstat s uid,gid -> 1101,1102`,
  'needs a name that is there': `
    create f 644
    chown x 0 0 -> ENOENT
    chown f/x 0 0 -> ENOTDIR
    chown n{256} 0 0 -> ENAMETOOLONG
    mkdir d 700
    create d/f 644
    alice: chown d/f 1101 1101 -> EACCES`,
  'large numbers are kept': `
    create f 644
    chown f 4294967294 4294967294
    stat f uid,gid -> 4294967294,4294967294`,
};
