"""Makes, checks and reads the files of the bench. Python, because os.open, os.read and os.close are
bare system calls here: of the readers at hand it adds the least of its own, and it starts no threads.

  files.py make DIR BIG_BYTES FILES SEED   writes the data, prints what check must find
  files.py check DIR PROCESSES             reads everything, prints sizes and digests
  files.py epoch DIR PROCESSES SEED        reads all small files once in random order
  files.py stat DIR COUNT                  stat of COUNT small files
  files.py open DIR COUNT                  open and close of COUNT small files

Prints one line of JSON. Times run from when all processes are ready until the last has ended.
"""
import hashlib
import json
import multiprocessing
import os
import random
import sys
import time

READ_BYTES = 1 << 20
SMALL_MIN, SMALL_MAX = 20_000, 100_000
FILES_PER_FOLDER = 100
WRITERS = 16


def small_path(folder, index):
    return f"{folder}/small/{index // FILES_PER_FOLDER:03d}/{index:05d}"


def small_paths(folder):
    base = f"{folder}/small"
    return [f"{base}/{part}/{name}" for part in sorted(os.listdir(base)) for name in sorted(os.listdir(f"{base}/{part}"))]


def read_all(path, take):
    fd = os.open(path, os.O_RDONLY)
    total = 0
    while True:
        data = os.read(fd, READ_BYTES)
        if not data:
            break
        total += len(data)
        take(data)
    os.close(fd)
    return total


def digest_of(path):
    state = hashlib.sha256()
    size = read_all(path, state.update)
    return size, int.from_bytes(state.digest(), "big")


def write_small(folder, first, last, seed):
    chance = random.Random(seed * 1_000_003 + first)
    total = 0
    for index in range(first, last):
        data = chance.randbytes(chance.randint(SMALL_MIN, SMALL_MAX))
        with open(small_path(folder, index), "wb") as file:
            file.write(data)
        total += len(data)
    return total


def write_big(folder, size, seed):
    chance = random.Random(seed)
    with open(f"{folder}/big", "wb") as file:
        for start in range(0, size, READ_BYTES):
            file.write(chance.randbytes(min(READ_BYTES, size - start)))
        file.flush()
        os.fsync(file.fileno())


def in_processes(work, shares):
    """Runs work(share) in one process per share. Gives seconds and results."""
    context = multiprocessing.get_context("fork")
    ready, results = context.Barrier(len(shares) + 1), context.Queue()

    def main(share):
        ready.wait()
        try:
            results.put(work(share))
        except BaseException as error:
            results.put(f"{type(error).__name__}: {error}")

    processes = [context.Process(target=main, args=(share,)) for share in shares]
    for process in processes:
        process.start()
    ready.wait()
    start = time.monotonic()
    found = [results.get() for _ in shares]
    seconds = time.monotonic() - start
    for process in processes:
        process.join()
    for result in found:
        if isinstance(result, str):
            sys.exit(result)
    return seconds, found


def make(folder, big_bytes, files, seed):
    for part in range((files + FILES_PER_FOLDER - 1) // FILES_PER_FOLDER):
        os.makedirs(os.path.dirname(small_path(folder, part * FILES_PER_FOLDER)), exist_ok=True)
    write_big(folder, big_bytes, seed)
    edges = [files * i // WRITERS for i in range(WRITERS + 1)]
    seconds, sizes = in_processes(lambda share: write_small(folder, *share, seed), list(zip(edges, edges[1:])))
    return {"bigBytes": big_bytes, "smallFiles": files, "smallBytes": sum(sizes)}


def expected(big_bytes, files, seed):
    """Digests of what make writes, without reading it back."""
    chance, state = random.Random(seed), hashlib.sha256()
    for start in range(0, big_bytes, READ_BYTES):
        state.update(chance.randbytes(min(READ_BYTES, big_bytes - start)))
    edges = [files * i // WRITERS for i in range(WRITERS + 1)]
    total = 0
    for first, last in zip(edges, edges[1:]):
        chance = random.Random(seed * 1_000_003 + first)
        for _ in range(first, last):
            data = chance.randbytes(chance.randint(SMALL_MIN, SMALL_MAX))
            total += int.from_bytes(hashlib.sha256(data).digest(), "big")
    return state.hexdigest(), f"{total % (1 << 256):064x}"


def check(folder, processes):
    size, digest = digest_of(f"{folder}/big")
    paths = small_paths(folder)
    _, found = in_processes(lambda share: [digest_of(path) for path in share], [paths[i::processes] for i in range(processes)])
    rows = [row for part in found for row in part]
    # A sum does not depend on the order in which the processes come.
    small = sum(row[1] for row in rows) % (1 << 256)
    return {
        "bigBytes": size, "bigDigest": f"{digest:064x}",
        "smallFiles": len(rows), "smallBytes": sum(row[0] for row in rows), "smallDigest": f"{small:064x}",
    }


def epoch(folder, processes, seed):
    paths = small_paths(folder)
    random.Random(seed).shuffle(paths)
    ignore = lambda data: None
    seconds, sizes = in_processes(lambda share: sum(read_all(path, ignore) for path in share), [paths[i::processes] for i in range(processes)])
    return {"seconds": seconds, "operations": len(paths), "bytes": sum(sizes)}


def each(paths, work):
    start = time.monotonic()
    for path in paths:
        work(path)
    return {"seconds": time.monotonic() - start, "operations": len(paths), "bytes": 0}


def main(mode, folder, *numbers):
    numbers = [int(number) for number in numbers]
    if mode == "make":
        result = make(folder, *numbers)
        big, small = expected(*numbers)
        return {**result, "bigDigest": big, "smallDigest": small}
    if mode == "check":
        return check(folder, *numbers)
    if mode == "epoch":
        return epoch(folder, *numbers)
    paths = [small_path(folder, index) for index in range(numbers[0])]
    if mode == "stat":
        return each(paths, os.stat)
    if mode == "open":
        return each(paths, lambda path: os.close(os.open(path, os.O_RDONLY)))
    sys.exit(__doc__)


print(json.dumps(main(*sys.argv[1:])))
