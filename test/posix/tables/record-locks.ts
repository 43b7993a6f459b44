import type { Table } from '../script.ts';

/** fcntl(2): record locks, without waiting. */
export const recordLockTable: Table = {
  'keep others out of a range': `
    create f 666
    alice: open %a f rw
    bob: open %b f rw
    alice: lock %a w 10 10
    bob: lock %b r 15 1 -> EAGAIN
    bob: lock %b w 20 5
    bob: lock %b w 0 10
    bob: testlock %b w 0 100 -> w 10 10
    alice: testlock %a r 0 100 -> w 0 10`,
  'split, grow and shrink': `
    create f 666
    alice: open %a f rw
    bob: open %b f rw
    alice: lock %a w 0 30
    alice: lock %a u 10 10
    bob: lock %b w 10 10
    bob: testlock %b w 0 5 -> w 0 10
    bob: testlock %b w 25 1 -> w 20 10
    alice: lock %a r 20 10
    bob: lock %b r 20 10
    bob: lock %b w 20 10 -> EAGAIN
    bob: testlock %b w 20 10 -> r 20 10`,
  'reach to the end, wherever that is': `
    create f 666
    alice: open %a f rw
    bob: open %b f rw
    alice: lock %a w 100 0
    bob: lock %b r 1000000000 1 -> EAGAIN
    bob: lock %b w 0 100
    bob: testlock %b w 100 0 -> w 100 0`,
  'go with any descriptor of the process that is closed': `
    create f 666
    alice: open %a f rw
    alice: open %c f rw
    bob: open %b f rw
    alice: lock %a w 0 0
    bob: lock %b w 0 0 -> EAGAIN
    alice: close %c
    bob: lock %b w 0 0`,
  'need a descriptor that fits': `
    create f 666
    open %r f r
    open %w f w
    lock %r w 0 0 -> EBADF
    lock %w r 0 0 -> EBADF
    lock %r r 0 0
    lock %r r -1 5 -> EINVAL`,
  'of one process do not stand in its own way': `
    create f 666
    open %a f rw
    open %b f rw
    lock %a w 0 0
    lock %b w 0 0
    testlock %b w 0 0 -> free`,
};
