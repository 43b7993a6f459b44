"""Threads that read files of one repeated character, and others that overwrite them. Prints what is wrong."""
import os, sys, threading, time
end = time.time() + 4
def read(seed):
    kept = []
    while time.time() < end:
        try:
            f = os.open(f'{sys.argv[1]}/storm-{seed % 4}', os.O_RDONLY)
            got = os.read(f, 1 << 20)
            if len(set(got)) > 1: print('torn', got[:9], len(got))
            kept.append(f)
            if len(kept) > seed: os.close(kept.pop(0))
        except OSError as error: print('read', error)
def write(seed):
    count = 0
    while time.time() < end:
        try:
            path = f'{sys.argv[1]}/storm-{seed}'
            f = os.open(path, os.O_RDWR)
            os.pwrite(f, bytes([48 + count % 10]) * 3000, 0); os.close(f)
            time.sleep(0.2); count += 1
        except OSError as error: print('write', error)
threads = [threading.Thread(target=read, args=(n,)) for n in range(8)]
threads += [threading.Thread(target=write, args=(n,)) for n in range(2)]
for t in threads: t.start()
for t in threads: t.join()
