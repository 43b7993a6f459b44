import type { Table } from '../script.ts';

/** POSIX ACLs, as extended attributes, and the permissions that follow from them. */
export const aclTable: Table = {
  'gives a user more than the rest has': `
    create f 600 secret
    setacl f access u::rw-,u:1102:r--,g::---,m::r--,o::---
    bob: cat f -> secret
    bob: open %a f rw -> EACCES
    bob: access f w -> EACCES
    alice: cat f -> EACCES
    stat f mode -> 640
    getacl f access -> u::rw-,u:1102:r--,g::---,m::r--,o::---`,
  'gives a user less than the rest has': `
    create f 644 open
    setacl f access u::rw-,u:1101:---,g::r--,m::r--,o::r--
    alice: cat f -> EACCES
    bob: cat f -> open
    carol: cat f -> open`,
  'any group of the caller that may is enough, and none of them leaves nothing': `
    create f 644 secret
    setacl f access u::rw-,g::r--,g:1101:---,g:2000:r--,m::r--,o::r--
    alice: cat f -> EACCES
    carol: cat f -> secret
    carol: open %a f rw -> EACCES
    bob: cat f -> secret
    chown f 0 1101
    carol: cat f -> secret
    alice: cat f -> secret`,
  'a user who is named gets nothing of groups': `
    create f 644 secret
    setacl f access u::rw-,u:1103:---,g::r--,g:2000:rw-,m::rw-,o::r--
    carol: cat f -> EACCES`,
  'the mask bounds all but the owner and the rest': `
    create f 600 0123
    chown f 1102 0
    setacl f access u::rw-,u:1101:rw-,g::rw-,g:2000:rw-,m::r--,o::rw-
    alice: open %a f r
    alice: open %a f rw -> EACCES
    carol: open %a f r
    carol: open %a f rw -> EACCES
    bob: open %a f rw
    stat f mode -> 646
    bob: chmod f 666
    alice: open %a f rw
    carol: open %a f rw
    getacl f access -> u::rw-,u:1101:rw-,g::rw-,g:2000:rw-,m::rw-,o::rw-
    chmod f 600
    getacl f access -> u::rw-,u:1101:rw-,g::rw-,g:2000:rw-,m::---,o::---
    alice: open %a f r -> EACCES`,
  'without names it is the mode': `
    create f 600
    setacl f access u::rwx,g::r--,o::---
    stat f mode -> 740
    getacl f access -> ENODATA
    listxattr f -> none
    mkdir d 755
    getacl d access -> ENODATA
    getacl d default -> ENODATA`,
  'may have a mask and no names': `
    create f 600
    setacl f access u::rw-,g::rwx,m::r--,o::---
    stat f mode -> 640
    getacl f access -> u::rw-,g::rwx,m::r--,o::---`,
  'is replaced, and removed': `
    create f 600 secret
    setacl f access u::rw-,u:1101:rw-,g::r--,m::rw-,o::---
    setacl f access u::rw-,u:1102:r--,g::---,m::r--,o::---
    alice: cat f -> EACCES
    bob: cat f -> secret
    removeacl f access
    getacl f access -> ENODATA
    bob: cat f -> EACCES`,
  'is for the owner, and for root': `
    create f 666
    mkdir d 777
    alice: setacl f access u::rw-,u:1101:rw-,g::r--,m::rw-,o::--- -> EPERM
    alice: setacl d default u::rwx,g::r--,o::--- -> EPERM
    chown f 1101 1101
    alice: setacl f access u::rw-,u:1102:rw-,g::---,m::rw-,o::---
    bob: removeacl f access -> EPERM
    alice: removeacl f access
    getacl f access -> ENODATA`,
  'must be whole, and in order': `
    create f 644
    setacl f access u::rw-,g::r-- -> EINVAL
    setacl f access u::rw-,u:1101:rw-,g::r--,o::--- -> EINVAL
    setacl f access u::rw-,u::rw-,g::r--,o::--- -> EINVAL
    setacl f access g::r--,u::rw-,o::--- -> EINVAL
    setacl f access u::rw-,x::rw-,g::r--,o::--- -> EINVAL
    setxattr f system.posix_acl_access x -> EINVAL
    stat f mode -> 644
    getacl f access -> ENODATA`,
  'a default is for directories only, and symlinks have none': `
    create f 644
    setacl f default u::rw-,g::r--,o::--- -> EACCES
    symlink f s
    setacl s access u::rw-,g::r--,o::--- -> ENOTSUP
    getacl s access -> ENOTSUP`,
  'a default is inherited, and the umask has no part in it': `
    umask 77
    mkdir d 755
    setacl d default u::rwx,u:1101:rwx,g::r-x,m::rwx,o::---
    create d/f 666
    getacl d/f access -> u::rw-,u:1101:rwx,g::r-x,m::rw-,o::---
    stat d/f mode -> 660
    create d/g 400
    getacl d/g access -> u::r--,u:1101:rwx,g::r-x,m::---,o::---
    mkdir d/e 777
    getacl d/e access -> u::rwx,u:1101:rwx,g::r-x,m::rwx,o::---
    getacl d/e default -> u::rwx,u:1101:rwx,g::r-x,m::rwx,o::---
    stat d/e mode -> 770
    mkdir d/e/i 755
    getacl d/e/i default -> u::rwx,u:1101:rwx,g::r-x,m::rwx,o::---
    mknod d/p fifo 666
    getacl d/p access -> u::rw-,u:1101:rwx,g::r-x,m::rw-,o::---
    symlink x d/s
    lstat d/s mode -> 777
    getacl d access -> ENODATA
    stat d mode -> 700`,
  'a default without names sets the mode, and the umask has no part in it': `
    umask 77
    mkdir d 755
    setacl d default u::rwx,g::rwx,o::r-x
    create d/f 666
    stat d/f mode -> 664
    getacl d/f access -> ENODATA
    mkdir d/e 777
    stat d/e mode -> 775
    getacl d/e default -> u::rwx,g::rwx,o::r-x`,
  'without a default the umask counts': `
    umask 27
    mkdir d 777
    create d/f 666
    mknod d/p fifo 666
    mkdir d/e 777
    stat d/f mode -> 640
    stat d/p mode -> 640
    stat d/e mode -> 750
    getacl d/e default -> ENODATA`,
  'a default is removed': `
    mkdir d 755
    setacl d default u::rwx,u:1101:rwx,g::r-x,m::rwx,o::---
    removeacl d default
    getacl d default -> ENODATA
    create d/f 644
    getacl d/f access -> ENODATA
    stat d mode -> 755`,
  'lets somebody change a directory': `
    mkdir d 755
    setacl d access u::rwx,u:1101:rwx,g::r-x,m::rwx,o::r-x
    alice: create d/f 644 content
    alice: mkdir d/e 755
    alice: rename d/f d/g
    alice: link d/g d/h
    alice: symlink x d/s
    alice: unlink d/h
    alice: rmdir d/e
    bob: create d/f 644 -> EACCES
    bob: unlink d/g -> EACCES
    setacl d access u::rwx,u:1101:r-x,g::r-x,m::rwx,o::r-x
    alice: unlink d/g -> EACCES
    setacl d access u::rwx,u:1101:rw-,g::r-x,m::rwx,o::r-x
    alice: ls d -> g,s
    alice: cat d/g -> EACCES
    bob: cat d/g -> content`,
  'goes with the file and not with the name': `
    create f 600 secret
    setacl f access u::rw-,u:1102:r--,g::---,m::r--,o::---
    rename f g
    link g h
    bob: cat h -> secret
    chown g 1101 1101
    getacl h access -> u::rw-,u:1102:r--,g::---,m::r--,o::---
    unlink g
    create g 600
    getacl g access -> ENODATA
    bob: cat g -> EACCES`,
  'changes the ctime': `
    create f 600
    mark f
    setacl f access u::rw-,u:1102:r--,g::---,m::r--,o::---
    changed f -> ctime
    mark f
    removeacl f access
    changed f -> ctime`,
  'takes set-gid from a file of a group that the owner is not in': `
    create f 644
    chown f 1101 2000
    chmod f 2755
    alice: setacl f access u::rwx,g::r-x,o::r-x
    stat f mode -> 755
    chmod f 2755
    setacl f access u::rwx,g::r-x,o::r-x
    stat f mode -> 2755`,
  'chmod of a directory leaves its default alone': `
    mkdir d 755
    setacl d default u::rwx,u:1101:rwx,g::r-x,m::rwx,o::---
    setacl d access u::rwx,u:1101:rwx,g::r-x,m::rwx,o::---
    chmod d 705
    getacl d access -> u::rwx,u:1101:rwx,g::r-x,m::---,o::r-x
    getacl d default -> u::rwx,u:1101:rwx,g::r-x,m::rwx,o::---`,
};
