import type { Table } from '../script.ts';

/** flock(2), without waiting. */
export const flockTable: Table = {
  'a shared lock lets others share': `
    create f 666
    alice: open %a f r
    bob: open %b f r
    alice: flock %a sh
    bob: flock %b sh
    bob: flock %b ex -> EAGAIN
    alice: flock %a un
    bob: flock %b ex
    alice: flock %a sh -> EAGAIN`,
  'belongs to the descriptor, not to the process': `
    create f 666
    open %a f rw
    open %b f rw
    flock %a ex
    flock %b ex -> EAGAIN
    close %a
    flock %b ex`,
  'is not in the way of record locks': `
    create f 666
    alice: open %a f rw
    bob: open %b f rw
    alice: flock %a ex
    bob: lock %b w 0 0`,
  'also locks directories': `
    mkdir d 755
    alice: open %a d r
    bob: open %b d r
    alice: flock %a ex
    bob: flock %b sh -> EAGAIN`,
};
