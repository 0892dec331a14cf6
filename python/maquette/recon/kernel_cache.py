"""Compile every kernel in advance, so that a machine that is paid by the minute does not.

    python -m maquette.recon.kernel_cache [--capabilities 7.0 8.0 …] [--check]

It fills Warp's cache (WARP_CACHE_PATH) for this machine's CPU, and for GPUs of these compute
capabilities, which needs no GPU: Warp's package holds NVIDIA's compiler. An image carries such a
cache. With --check it only tells what is missing, and ends with 1 when something is.

A driver as new as Warp's CUDA is given PTX, an older one a binary for its very GPU: the cache
holds both. Names in it hold a hash of the code, so a stale entry is never used.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_PATH = "WARP_CACHE_PATH"


def settle() -> None:
    """Let Warp write to its cache: in a folder of this process where it may not in the given one.

    To be called before Warp starts. What the given folder holds is used all the same.
    """
    given = os.environ.get(_PATH)
    if not given or not Path(given).is_dir():
        return
    folders = [path for path in Path(given).rglob("*") if path.is_dir()]
    if all(os.access(folder, os.W_OK) for folder in folders or [Path(given)]):
        return
    try:
        own = Path(tempfile.mkdtemp(prefix="kernels-"))
    except OSError:  # nothing can be written at all: what is carried has to do
        return
    shutil.copytree(given, own, dirs_exist_ok=True, copy_function=shutil.copyfile)
    for folder in (own, *own.rglob("*")):
        folder.chmod(0o755 if folder.is_dir() else 0o644)
    os.environ[_PATH] = str(own)


@functools.cache
def modules() -> dict[Any, str]:
    """Warp's modules that hold kernels which we use, compiled one by one, and what they are for.

    Those that this process had made before, for whatever, are among them and have no words.
    """
    from warp._src.context import user_modules  # pinned: no public name lists them

    from maquette.recon import kernel_checks

    found = {module: "" for module in user_modules.values() if module.execs}
    for words in kernel_checks.make_kernels():
        used = [module for module in user_modules.values() if module.execs]
        found |= {module: words for module in used if module not in found}
    return found


def compile_for(capability: str, ptx: bool, folder: Path | None = None) -> list[Path]:
    """Compile every kernel for GPUs of one compute capability.

    Args:
        capability: As "8.6".
        ptx: PTX, which a driver compiles on; else a binary.
        folder: Where to; None: Warp's cache.

    Returns:
        One file a module.
    """
    import warp as wp

    architecture = int(capability.replace(".", ""))
    paths: list[Path] = []
    for module in modules():
        place = None if folder is None else folder / module.get_module_identifier()
        paths += wp.compile_aot_module(module, arch=architecture, module_dir=place, use_ptx=ptx)
    return paths


def entries(capabilities: Sequence[str]) -> Iterator[Path]:
    """What Warp's cache must hold for machines with one of these GPUs."""
    import warp as wp

    for module in modules():
        folder = Path(str(wp.config.kernel_cache_dir)) / module.get_module_identifier()
        for capability in capabilities:
            for form in ("ptx", "cubin"):
                yield folder / f"{folder.name}.sm{capability.replace('.', '')}.{form}"


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, or check it; returns 1 when entries are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--capabilities", nargs="*", default=[], help="e.g. 7.0 8.6")
    parser.add_argument(
        "--check", action="store_true", help="compile nothing, tell what is missing"
    )
    arguments = parser.parse_args(argv)
    wanted = list(entries(arguments.capabilities))
    if not arguments.check:
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # the compiler holds no lock of Python's
            forms = itertools.product(arguments.capabilities, (True, False))
            list(pool.map(lambda form: compile_for(*form), forms))
    missing = [path for path in wanted if not path.is_file()]
    for path in missing:
        print(f"missing: {path}")
    there = len(wanted) - len(missing)
    print(f"{len(modules())} modules of kernels, {there} of {len(wanted)} files for GPUs")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
