"""How fast are the checksums of what a pull reads? MD5, and CRC-32 by several libraries.

    .venv/bin/pip install zlib-ng awscrt
    .venv/bin/python benchmarks/checksums.py [--json]

Of 256 KiB again and again: so much a pull has in hand, and it too finds it in the processor's
cache. Processor time, best of several rounds in turn. Libraries that are not installed are left
out.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import time
from collections.abc import Callable
from typing import Any

from rows import Row, print_rows

ROUNDS = 5
CHUNK_BYTES = 1 << 18
CHUNKS = 512
CRC_32 = {
    "isal": "isal.isal_zlib",
    "zlib": "zlib",
    "zlib-ng": "zlib_ng.zlib_ng",
    "awscrt": "awscrt.checksums",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    chunk = os.urandom(CHUNK_BYTES)
    tools = found()
    seconds: dict[str, list[float]] = {name: [] for name in tools}
    for _ in range(ROUNDS):
        for name, compute in tools.items():
            begun = time.process_time()
            for _ in range(CHUNKS):
                compute(chunk)
            seconds[name].append(time.process_time() - begun)
    gib = CHUNKS * CHUNK_BYTES / 2**30
    rows = [
        Row("MD5" if name == "hashlib" else "CRC-32", name, "speed", gib / min(took), "GiB/s")
        for name, took in seconds.items()
    ]
    print_rows(rows, arguments.json)


def found() -> dict[str, Callable[[bytes], Any]]:
    """What computes a checksum here, by the name of its library."""
    tools: dict[str, Callable[[bytes], Any]] = {"hashlib": hashlib.md5}
    for name, module in CRC_32.items():
        try:
            tools[name] = importlib.import_module(module).crc32
        except ImportError:
            continue
    return tools


if __name__ == "__main__":
    main()
