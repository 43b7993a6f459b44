import type { Table } from '../script.ts';

/** copy_file_range(2). */
export const copyTable: Table = {
  'copies between files and within one': `
    create f 644 0123456789
    open %a f rw
    open %b g rw|creat 644
    copy %a 2 %b 1 4 -> 4
    pread %b 20 0 -> 02345
    copy %a 0 %a 10 3 -> 3
    cat f -> 0123456789012`,
  'copies what was written and is not committed': `
    open %a f rw|creat 644
    write %a 0123456789 -> 10
    open %b g rw|creat 644
    copy %a 0 %b 0 10 -> 10
    cat g -> 0123456789`,
  'copies as far as there is something': `
    create f 644 0123
    open %a f rw
    open %b g rw|creat 644
    copy %a 2 %b 0 99 -> 2
    copy %a 4 %b 0 99 -> 0
    copy %a 9 %b 0 99 -> 0
    stat g size -> 2`,
  'changes the times of the target': `
    create f 644 0123
    create g 644
    open %a f r
    open %b g rw
    mark g
    copy %a 0 %b 0 4 -> 4
    changed g -> mtime,ctime`,
  'takes set-uid and set-gid away': `
    create f 644 0123
    create g 666
    chmod g 6777
    alice: open %a f r
    alice: open %b g rw
    alice: copy %a 0 %b 0 4 -> 4
    stat g mode -> 777`,
  'refuses ranges that overlap, and descriptors that cannot': `
    create f 644 0123456789
    open %a f rw
    copy %a 0 %a 2 4 -> EINVAL
    open %r f r
    copy %a 0 %r 0 4 -> EBADF
    open %w g w|creat 644
    copy %w 0 %a 0 4 -> EBADF
    open %p f rw|append
    copy %a 0 %p 0 4 -> EBADF
    mkdir d 755
    open %d d r
    copy %d 0 %a 0 4 -> EISDIR`,
};
