"""What does each kernel take of a GPU: registers, shared memory, spills?

    .venv/bin/python benchmarks/ptxas.py [--json] [--capabilities 7.0 8.0 9.0 12.0]

NVIDIA's assembler says it of the PTX that Warp makes; no GPU is needed. It ends with 1 when a
kernel spills registers to memory.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from maquette.recon import kernel_cache
from rows import Row, print_rows

PACKAGE = "nvidia-cuda-nvcc-cu12"
_ENTRY = re.compile(r"Compiling entry function '(\w+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


@dataclass(frozen=True)
class Use:
    """What one kernel takes on one kind of GPU, a thread; shared memory a block."""

    kernel: str
    capability: str
    registers: int
    shared_bytes: int
    stack_bytes: int
    spilled_bytes: int


def assembler() -> Path | None:
    """`ptxas` of the package that brings it alone; None where that is not installed."""
    try:
        found = [file for file in files(PACKAGE) or () if file.name == "ptxas"]
    except PackageNotFoundError:
        return None
    return Path(str(found[0].locate())) if found else None


def measure(capability: str) -> list[Use]:
    """Compile every kernel to PTX and assemble it."""
    program = assembler()
    if program is None:
        raise SystemExit(f"there is no ptxas: `.venv/bin/pip install {PACKAGE}`")
    with tempfile.TemporaryDirectory() as folder:
        paths = kernel_cache.compile_for(capability, ptx=True, folder=Path(folder))
        words = kernel_cache.modules().values()
        return [
            use
            for path, purpose in zip(paths, words, strict=True)
            for use in read(_assemble(program, path, capability), capability, purpose)
        ]


def read(said: str, capability: str, purpose: str) -> list[Use]:
    """The kernels that `ptxas -v` speaks of."""
    found = []
    for part in re.split(r"(?=ptxas info\s+: Compiling entry)", said):
        entry, stack, used = (pattern.search(part) for pattern in (_ENTRY, _STACK, _USED))
        if entry and stack and used:
            shared = _SHARED.search(part)
            found.append(
                Use(
                    f"{_name(entry[1])} ({purpose})", capability, int(used[1]),
                    int(shared[1]) if shared else 0, int(stack[1]), int(stack[2]) + int(stack[3]),
                )
            )  # fmt: skip
    return found


def _assemble(program: Path, path: Path, capability: str) -> str:
    target = f"-arch=sm_{capability.replace('.', '')}"
    done = subprocess.run(
        [program, "-v", target, path, "-o", "/dev/null"], capture_output=True, text=True, check=True
    )
    return done.stderr + done.stdout


def _name(entry: str) -> str:
    """`_kernels__locals__gather_71ec3307_cuda_kernel_forward` is the kernel `gather`."""
    key = re.sub(r"(_[0-9a-f]{8})?_cuda_kernel_(forward|backward)$", "", entry)
    gradient = "'s gradient" if entry.endswith("_backward") else ""
    return key.rpartition("__")[2].strip("_") + gradient


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--capabilities", nargs="+", default=["7.0", "8.0", "9.0", "12.0"])
    arguments = parser.parse_args()
    uses = [use for capability in arguments.capabilities for use in measure(capability)]
    print_rows(
        [
            Row(use.kernel, use.capability, metric, value, unit)
            for use in uses
            for metric, value, unit in (
                ("registers", use.registers, ""),
                ("shared memory", use.shared_bytes, "B"),
                ("spills", use.spilled_bytes, "B"),
            )
        ],
        arguments.json,
    )
    return 1 if any(use.spilled_bytes for use in uses) else 0


if __name__ == "__main__":
    sys.exit(main())
