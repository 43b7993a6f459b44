"""One of several writers on mounts of a volume: changes names at random where all do, and keeps files of
its own, of which it knows every byte.

Arguments: seed, seconds, the shared directory and the own one, as this mount has them, and `limited` when it
may also go to the directory with a quota. Prints as JSON how often each operation was done and refused, and
the SHA-256 of what every own file must have. Status 1, and why, when an own file was not as it must be or an
error came that a file system has no reason for.
"""
import errno
import hashlib
import json
import os
import random
import sys
import time

seed, seconds = int(sys.argv[1]), float(sys.argv[2])
shared, own = sys.argv[3:5]
chance = random.Random(seed)
LONGEST = 300_000
NAMES = [f"n{i}" for i in range(12)]
# Nothing goes from one of these sides to the other.
SIDES = [["a", "b", "a/c", "b/d"], ["limited", "limited/e"]]
sides = SIDES if sys.argv[5:] == ["limited"] else SIDES[:1]
side = SIDES[0]
# What the writers do to each other, and what quotas do. EBADF and EIO tell of a file that is open when
# another mount removes it.
FAIR = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR, errno.EINVAL,
        errno.EDQUOT, errno.EPERM, errno.ELOOP, errno.ESTALE, errno.EBADF, errno.EIO}
done, refused = {}, {}
shadows = {}


def fail(what):
    print(json.dumps({"failed": what, "done": done}))
    sys.exit(1)


def place():
    return os.path.join(shared, chance.choice(side), chance.choice(NAMES))


def put():
    flags = chance.choice((os.O_TRUNC, os.O_EXCL, 0, os.O_APPEND))
    fd = os.open(place(), os.O_RDWR | os.O_CREAT | flags, 0o644)
    try:
        for _ in range(chance.randrange(4)):
            os.pwrite(fd, chance.randbytes(chance.randrange(1, 60_000)), chance.randrange(LONGEST))
        if chance.random() < 0.3:
            os.fsync(fd)
        if chance.random() < 0.2:
            os.ftruncate(fd, chance.randrange(LONGEST))
    finally:
        os.close(fd)


def read():
    with open(place(), "rb") as file:
        file.read()


def exchange():
    a, b = place(), place()
    os.rename(a, a + ".next")
    os.rename(a + ".next", b)


def mkdirs():
    path = some(side)
    if chance.random() < 0.7:
        os.mkdir(path)
    else:
        os.mkdir(os.path.join(path, chance.choice(NAMES)))


def own_change():
    name = f"f{chance.randrange(10)}"
    path = os.path.join(own, name)
    shadow = shadows.setdefault(name, bytearray())
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        for _ in range(chance.randrange(1, 6)):
            offset = chance.randrange(LONGEST)
            data = chance.randbytes(chance.randrange(1, 40_000))
            os.pwrite(fd, data, offset)
            if offset > len(shadow):
                shadow.extend(bytes(offset - len(shadow)))
            shadow[offset:offset + len(data)] = data
        if chance.random() < 0.3:
            length = chance.randrange(LONGEST)
            os.ftruncate(fd, length)
            del shadow[length:]
            shadow.extend(bytes(length - len(shadow)))
    finally:
        os.close(fd)


def own_check():
    if not shadows:
        return
    name = chance.choice(sorted(shadows))
    with open(os.path.join(own, name), "rb") as file:
        if file.read() != shadows[name]:
            fail(f"{name} has other bytes")


def own_replace():
    if not shadows:
        return
    old = chance.choice(sorted(shadows))
    new = f"f{chance.randrange(10)}"
    os.rename(os.path.join(own, old), os.path.join(own, new))
    shadows[new] = shadows.pop(old)


def two(call):
    return lambda: call(place(), place())


def some(of):
    return os.path.join(shared, chance.choice(of))


# Name, weight, and what is done.
KINDS = [
    ("put", 20, put), ("read", 10, read), ("exchange", 6, exchange), ("mkdir", 8, mkdirs),
    ("own change", 10, own_change), ("own check", 6, own_check), ("own replace", 3, own_replace),
    ("unlink", 10, lambda: os.unlink(place())), ("rename", 8, two(os.rename)), ("link", 4, two(os.link)),
    ("symlink", 3, lambda: os.symlink("n1", place())), ("rmdir", 4, lambda: os.rmdir(place())),
    ("truncate", 5, lambda: os.truncate(place(), chance.randrange(LONGEST))),
    ("cut", 3, lambda: os.truncate(place(), 0)),
    # The one with the quota stays.
    ("move directory", 3, lambda: os.rename(some(side[1:]), some(side[1:]))),
    ("list", 5, lambda: os.listdir(some(side))),
    ("setxattr", 2, lambda: os.setxattr(place(), "user.a", chance.randbytes(9))),
    ("chmod", 2, lambda: os.chmod(place(), chance.choice((0o600, 0o644, 0o777)))),
    ("chown", 3, lambda: os.chown(place(), chance.choice((0, 1101)), chance.choice((0, 1101)))),
]


def main():
    global side
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        side = chance.choice(sides)
        name, _, work = chance.choices(KINDS, [weight for _, weight, _ in KINDS])[0]
        try:
            work()
            done[name] = done.get(name, 0) + 1
        except OSError as error:
            mine = name.startswith("own")
            if mine or error.errno not in FAIR:
                fail(f"{name}: {error}")
            what = f"{name} {errno.errorcode[error.errno]}"
            refused[what] = refused.get(what, 0) + 1
    sums = {name: hashlib.sha256(shadow).hexdigest() for name, shadow in shadows.items()}
    print(json.dumps({"done": done, "refused": refused, "sums": sums}))


main()
