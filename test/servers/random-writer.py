"""Writes to a file at random and compares every byte that it reads with a shadow in memory.

Arguments: seed, operations, seconds at most, largest length, then one path of the file per mount.
With several mounts the file is closed before another one opens it. Prints how many operations of
each kind were done, or the first difference and the operations before it (status 1).
"""
import ctypes
import json
import mmap
import os
import random
import sys
import time

seed, operations, seconds, longest = (int(word) for word in sys.argv[1:5])
paths = sys.argv[5:]
chance = random.Random(seed)
libc = ctypes.CDLL(None, use_errno=True)
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
shadow = bytearray()
done = {}
history = []


def fail(what):
    print(json.dumps({"failed": what, "history": history[-25:]}))
    sys.exit(1)


def span(limit):
    offset = chance.randrange(limit)
    sizes = (4096, 70_000, longest)
    return offset, min(chance.randrange(1, sizes[chance.randrange(3)] + 1), longest - offset)


def extend(end):
    if end > len(shadow):
        shadow.extend(bytes(end - len(shadow)))


def compare(found, offset, length, what):
    wanted = bytes(shadow[offset:offset + length])
    if found == wanted:
        return
    at = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), -1)
    fail(f"{what} {offset}+{length}: {len(found)} of {len(wanted)} bytes, differs at {offset + at}")


def write(fd):
    offset, length = span(longest)
    data = chance.randbytes(length)
    if os.pwrite(fd, data, offset) != length:
        fail("a short write")
    extend(offset + length)
    shadow[offset:offset + length] = data
    return offset, length


def sequence(fd):
    offset, _ = span(longest)
    for _ in range(chance.randrange(1, 20)):
        length = min(chance.randrange(1, 9000), longest - offset)
        data = chance.randbytes(length)
        os.pwrite(fd, data, offset)
        extend(offset + length)
        shadow[offset:offset + length] = data
        offset += length
    return offset, 0


def read(fd):
    offset, length = span(longest)
    compare(os.pread(fd, length, offset), offset, length, "read")
    return offset, length


def truncate(fd):
    length = chance.randrange(longest)
    os.ftruncate(fd, length)
    del shadow[length:]
    extend(length)
    return length, 0


def size(fd):
    found = os.fstat(fd).st_size
    if found != len(shadow):
        fail(f"the file has {found} bytes, not {len(shadow)}")
    return found, 0


def map_(fd):
    if len(shadow) == 0:
        return 0, 0
    with mmap.mmap(fd, len(shadow)) as memory:
        offset, length = span(len(shadow))
        length = min(length, len(shadow) - offset)
        compare(memory[offset:offset + length], offset, length, "map")
        data = chance.randbytes(length)
        memory[offset:offset + length] = data
        shadow[offset:offset + length] = data
        if chance.random() < 0.5:
            memory.flush()
    return offset, length


def punch(fd):
    offset, length = span(longest)
    mode = chance.choice((PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE, ZERO_RANGE | KEEP_SIZE, 0))
    result = libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length))
    if result != 0:
        fail(f"fallocate({mode}, {offset}, {length}): errno {ctypes.get_errno()}")
    if mode & KEEP_SIZE == 0:
        extend(offset + length)
    if mode != 0:
        end = min(offset + length, len(shadow))
        if end > offset:
            shadow[offset:end] = bytes(end - offset)
    return mode, offset


def copy(fd):
    if len(shadow) < 2:
        return 0, 0
    half = len(shadow) // 2
    length = chance.randrange(1, half + 1)
    source = chance.randrange(half - length + 1)
    target = half + chance.randrange(half - length + 1)
    copied = os.copy_file_range(fd, fd, length, source, target)
    shadow[target:target + copied] = shadow[source:source + copied]
    return source, target


def sync(fd):
    os.fsync(fd)
    return 0, 0


KINDS = [(write, 30), (sequence, 10), (read, 30), (truncate, 5), (size, 10), (map_, 6), (punch, 5),
         (copy, 3), (sync, 3)]


def append(path):
    data = chance.randbytes(chance.randrange(1, 5000))
    if len(shadow) + len(data) > longest:
        return
    with open(path, "ab", buffering=0) as file:
        file.write(data)
    shadow.extend(data)


def main():
    started = time.monotonic()
    count = 0
    while count < operations and time.monotonic() - started < seconds:
        path = chance.choice(paths)
        if chance.random() < 0.1:
            append(path)
            history.append(("append", path))
        flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if chance.random() < 0.03 else 0)
        fd = os.open(path, flags)
        history.append(("open", path, flags))
        if flags & os.O_TRUNC:
            shadow.clear()
        if chance.random() < 0.5:
            compare(os.pread(fd, longest, 0), 0, longest, "first read")
        for _ in range(chance.randrange(1, 40)):
            kind = chance.choices([k for k, _ in KINDS], [w for _, w in KINDS])[0]
            history.append((kind.__name__, len(shadow)))
            history[-1] += kind(fd)
            done[kind.__name__] = done.get(kind.__name__, 0) + 1
            count += 1
        os.close(fd)
    for path in paths:
        with open(path, "rb") as file:
            compare(file.read(), 0, longest, "last read")
    print(json.dumps({"operations": count, "kinds": done}))


main()
