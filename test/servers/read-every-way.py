"""Reads files in each way that a program can, each beside a copy of it. Prints the names of the ways that
gave other bytes."""
import mmap, os, sys
def read(path, want):
    def check(how, got):
        if bytes(got) != want: print(path, how, len(got), len(want))
    f = os.open(path, os.O_RDONLY)
    check('read', os.read(f, 1 << 20))
    check('pread', b''.join(os.pread(f, 4097, at) for at in range(0, len(want) + 4097, 4097)))
    m = mmap.mmap(f, 0, mmap.MAP_SHARED, mmap.PROT_READ); check('mmap shared', m[:])
    m = mmap.mmap(f, 0, mmap.MAP_PRIVATE, mmap.PROT_READ); check('mmap private', m[:])
    r, w = os.pipe(); got = b''
    while True:
        n = os.sendfile(w, f, len(got), 4096)
        if n == 0: break
        got += os.read(r, n)
    check('sendfile', got)
    check('behind the end', want + os.pread(f, 10, len(want)))
    if os.fstat(f).st_size != len(want) or os.lseek(f, 0, os.SEEK_END) != len(want): print('length')
    d = os.open(path, os.O_RDONLY | os.O_DIRECT); b = mmap.mmap(-1, 1 << 20)
    n = os.preadv(d, [b], 0); check('O_DIRECT beside', b[:n])
    m = mmap.mmap(d, 0, mmap.MAP_SHARED, mmap.PROT_READ); check('mmap of O_DIRECT beside', m[:])
    os.close(f); os.close(d); os.close(r); os.close(w)
for path, copy in zip(sys.argv[1::2], sys.argv[2::2]):
    read(path, open(copy, 'rb').read())
