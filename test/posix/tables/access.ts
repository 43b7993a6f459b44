import type { Table } from '../script.ts';

/** access(2). */
export const accessTable: Table = {
  'tells what the mode says for owner, group and rest': `
    create f 640
    chown f 1101 2000
    access f rw
    alice: access f rw
    alice: access f x -> EACCES
    carol: access f r
    carol: access f w -> EACCES
    bob: access f r -> EACCES
    bob: access f f`,
  'root may run what somebody may run': `
    create f 600
    access f x -> EACCES
    chmod f 1
    access f rwx
    mkdir d 0
    access d rwx`,
  'the owner has only the owner’s rights': `
    create f 77
    chown f 1101 1101
    alice: access f r -> EACCES
    carol: access f rwx
    bob: access f rwx`,
  'needs a name and the way to it': `
    access x f -> ENOENT
    create f 644
    access f/x f -> ENOTDIR
    access n{256} f -> ENAMETOOLONG
    mkdir d 700
    create d/f 777
    alice: access d/f f -> EACCES
    symlink nothing s
    access s f -> ENOENT`,
  'follows a changed mode at once': `
    create f 600
    alice: access f r -> EACCES
    chmod f 604
    alice: access f r
    chown f 0 1101
    alice: access f r -> EACCES`,
  'a directory can be searched without being read, and read without being searched': `
    mkdir d 755
    create d/f 644 content
    chmod d 711
    alice: ls d -> EACCES
    alice: cat d/f -> content
    chmod d 744
    alice: ls d -> f
    alice: cat d/f -> EACCES`,
};
