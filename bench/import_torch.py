"""Debian's python3-torch in a folder: puts it there, checks it there, imports it from there.

  import_torch.py make DIR     copies the package and its libraries, prints what check must find
  import_torch.py check DIR    reads all of it, prints size and digest
  import_torch.py import DIR   `import torch` in a new interpreter, libraries from DIR as well

Prints one line of JSON. Run by the interpreter that the package was built for.
"""
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time

PACKAGES = "/usr/lib/python3/dist-packages"
LIBRARIES = "/usr/lib/*/libtorch*.so.*.*.*", "/usr/lib/*/libc10.so.*.*.*"
# Headers are not read by an import; libraries come below, by the names that they are loaded by.
LEFT_OUT = shutil.ignore_patterns("include", "share", "lib")


def make(folder):
    python = f"{folder}/python"
    shutil.copytree(f"{PACKAGES}/torch", f"{python}/torch", ignore=LEFT_OUT)
    for name in os.listdir(f"{python}/torch/bin"):
        if name != "torch_shm_manager":
            os.remove(f"{python}/torch/bin/{name}")
    shutil.copy(f"{PACKAGES}/typing_extensions.py", python)
    os.makedirs(f"{python}/torch/lib")
    for pattern in LIBRARIES:
        for path in glob.glob(pattern):
            soname = os.path.basename(path).rsplit(".", 1)[0]
            shutil.copy(path, f"{python}/torch/lib/{soname}")
    # The one library that is opened by a path without a version.
    for path in glob.glob("/usr/lib/*/libtorch_global_deps.so.*.*.*"):
        shutil.copy(path, f"{python}/torch/lib/libtorch_global_deps.so")
    return check(folder)


def check(folder):
    total, size, count = 0, 0, 0
    for where, _, names in os.walk(f"{folder}/python"):
        for name in names:
            with open(f"{where}/{name}", "rb") as file:
                data = file.read()
            path = os.path.relpath(f"{where}/{name}", folder).encode()
            total += int.from_bytes(hashlib.sha256(path + b"\0" + data).digest(), "big")
            size, count = size + len(data), count + 1
    return {"torchFiles": count, "torchBytes": size, "torchDigest": f"{total % (1 << 256):064x}"}


def import_torch(folder):
    python = f"{folder}/python"
    environment = {**os.environ, "PYTHONPATH": python, "LD_LIBRARY_PATH": f"{python}/torch/lib", "PYTHONDONTWRITEBYTECODE": "1"}
    program = "import torch; print(torch.__file__); print(open('/proc/self/maps').read())"
    start = time.monotonic()
    output = subprocess.run([sys.executable, "-s", "-c", program], env=environment, check=True, capture_output=True, text=True).stdout
    seconds = time.monotonic() - start
    if not output.startswith(python) or f"{python}/torch/lib/libtorch_cpu" not in output:
        sys.exit("torch was not imported from the volume")
    return {"seconds": seconds, "operations": 1, "bytes": 0}


WORK = {"make": make, "check": check, "import": import_torch}
print(json.dumps(WORK[sys.argv[1]](sys.argv[2])))
