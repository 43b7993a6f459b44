"""Makes and changes a tree in fixed ways, or prints what is to be seen of it.

Arguments: `make`, `change` or `look`, and a directory. What `make` has made on one mount `change` can
change on another. The same on a local file system shows how it must be afterwards.
"""
import hashlib
import json
import os
import stat
import sys

what, top = sys.argv[1:3]
MIB = 1 << 20


def at(name):
    return os.path.join(top, name)


PATTERN = bytes((i * 7 + i // 251) & 255 for i in range(65536))


def text(length, seed=0):
    return (PATTERN[seed % 65536 :] + PATTERN * (length // 65536 + 1))[:length]


def put(name, content, mode="wb", offset=None):
    with open(at(name), mode) as file:
        if offset is not None:
            file.seek(offset)
        file.write(content)


def make():
    for length in (0, 1, 4095, 65536, 4 * MIB, 4 * MIB + 1, 5 * MIB):
        put(f"of-{length}", text(length))
    put("overwritten", text(5 * MIB))
    for offset, length in ((4 * MIB - 300, 500_000), (10, 2), (4 * MIB + 70, 17)):
        put("overwritten", text(length, offset), "r+b", offset)
    put("appended", b"first ")
    put("appended", b"second ", "ab")
    put("cut", text(5 * MIB))
    os.truncate(at("cut"), 4 * MIB - 4)
    os.truncate(at("cut"), 4 * MIB + 100)
    put("holes", b"end", offset=65 * MIB)
    put("old", b"old")
    put("new", b"new")
    os.rename(at("new"), at("old"))
    os.makedirs(at("moved/deep/er"))
    put("moved/deep/er/file", text(12_000))
    os.rename(at("moved/deep"), at("deep"))
    put("gone", text(100_000))
    os.unlink(at("gone"))
    with open(at("ghost"), "w+b") as file:
        file.write(text(300_000))
        os.fsync(file.fileno())
        os.unlink(at("ghost"))
    os.mkdir(at("links"))
    os.link(at("appended"), at("links/again"))
    os.link(at("old"), at("links/twice"))
    os.symlink("of-1", at("symlink"))
    os.mkfifo(at("fifo"))
    os.chmod(at("of-1"), 0o4751)
    os.chown(at("of-4095"), 1000, 1001)
    os.utime(at("of-0"), ns=(1_600_000_000_000_000_000, 1_500_000_000_123_456_000))
    with open(at("room"), "wb") as file:
        file.write(b"f" * 200_000)
        file.flush()
        os.posix_fallocate(file.fileno(), 100_000, 300_000)


def change():
    os.unlink(at(f"of-{4 * MIB + 1}"))
    os.unlink(at("links/twice"))
    os.rename(at("of-65536"), at("deep/er/here"))
    os.rename(at("of-4095"), at("deep/er/file"))
    os.truncate(at(f"of-{5 * MIB}"), 3)
    put("overwritten", b"#" * 200, "r+b", 4 * MIB - 100)
    put("appended", b"third", "ab")
    put("of-0", b"no longer empty")
    put("holes", b"amid", "r+b", 30 * MIB)
    os.chmod(at("old"), 0o600)
    os.unlink(at("fifo"))
    os.rmdir(at("moved"))


def look():
    seen = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            # Those of a mount: reading a log of accesses never ends.
            if name.startswith("."):
                continue
            path = os.path.join(folder, name)
            found = os.lstat(path)
            kind = stat.S_IFMT(found.st_mode)
            content = None
            if kind == stat.S_IFREG:
                with open(path, "rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
            elif kind == stat.S_IFLNK:
                content = os.readlink(path)
            size = found.st_size if kind == stat.S_IFREG else 0
            same = [found.st_mode, found.st_nlink, found.st_uid, found.st_gid, size, content]
            here = [found.st_ino, found.st_blocks, found.st_mtime_ns // 1000]
            seen[os.path.relpath(path, top)] = {"same": same, "here": here}
    print(json.dumps(seen))


{"make": make, "change": change, "look": look}[what]()
