"""Compare every fast kernel with its plain twin on this machine's device, and time both.

    python -m maquette.recon.kernel_checks [--json] [--quick]

It ends with 1 when one differs: what `check-image` runs where a GPU is, what `benchmarks/gpu.py`
begins with, and what a report of a fault should contain.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import torch

from maquette.recon import gpus


@dataclass(frozen=True)
class Comparison:
    """One kernel on one input beside its twin.

    Attributes:
        error: Largest difference of the results, relative to the largest of the twin's values;
            NaN when the kernel left some of its result unwritten.
        allowed: The largest `error` that is right.
        fast_ms, slow_ms: Median times of the kernel and of the twin.
        bytes_moved: What the kernel has to read and write at least.
    """

    kernel: str
    size: str
    error: float
    allowed: float
    fast_ms: float
    slow_ms: float
    bytes_moved: int

    @property
    def agrees(self) -> bool:
        """Whether the kernel computes what its twin does."""
        return self.error <= self.allowed  # false for NaN


@dataclass(frozen=True)
class Case:
    """What to compare: both callables give the same tensor, shape and dtype."""

    kernel: str
    size: str
    fast: Callable[[], torch.Tensor]
    slow: Callable[[], torch.Tensor]
    allowed: float
    bytes_moved: int


def compare(case: Case, device: torch.device, runs: int = 5) -> Comparison:
    """Run a case with poisoned memory, then time it."""
    exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)  # twins convolve
    with _poisoned(), exact:
        fast, slow = case.fast(), case.slow()
    error = 0.0
    if (fast.shape, fast.dtype) != (slow.shape, slow.dtype):
        error = float("nan")
    elif slow.numel():
        error = float((fast - slow).abs().max()) / float(slow.abs().max().clamp(min=1e-12))
    return Comparison(
        case.kernel, case.size, error, case.allowed,
        _median_ms(case.fast, device, runs), _median_ms(case.slow, device, runs), case.bytes_moved,
    )  # fmt: skip


def cases(device: torch.device, quick: bool = False) -> Iterator[Case]:
    """The cases of every kernel there is, made one after the other."""
    for room in _rooms():
        yield from room.cases(device, quick)


def make_kernels() -> Iterator[str]:
    """Make every kernel that a preset needs; tells after some what they are for."""
    for room in _rooms():
        yield from room.make_kernels()


def _rooms() -> list[Any]:
    """What tells of the kernels of each part of the data plane: `cases` and `make_kernels`."""
    from maquette.recon.mesh import checks as mesh
    from maquette.recon.mesh_refinement.kernels import checks as refinement
    from maquette.recon.mvs.kernels import checks as dense
    from maquette.recon.mvsnet import checks as learned
    from maquette.recon.splats.kernels import checks as splats
    from maquette.recon.surface.kernels import checks as surface

    return [surface, mesh, dense, learned, refinement, splats]


def versions(device: torch.device) -> dict[str, str]:
    """What a report of a fault should say about the machine."""
    import warp

    from maquette.recon.kernels import launching  # noqa: F401 - starts Warp, silently

    found = {name: metadata.version(name) for name in ("torch", "warp-lang")}
    found |= {"torch CUDA": str(torch.version.cuda or ""), "torch code": " ".join(gpus.code())}
    found["warp CUDA"] = ".".join(map(str, warp.get_cuda_toolkit_version() or ()))
    found["driver"] = ".".join(map(str, gpus.driver_version()))
    found |= {"python": platform.python_version(), "system": platform.platform()}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {
            "gpu": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "memory": f"{properties.total_memory / 2**30:.1f} GiB",
        }
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line a case; returns 1 when a kernel differs from its twin."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--quick", action="store_true", help="the smallest sizes only")
    arguments = parser.parse_args(argv)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = versions(device)
    told = ", ".join(f"{name} {text}" for name, text in found.items() if text)
    print(json.dumps(found) if arguments.json else told)
    differing = 0
    for case in cases(device, arguments.quick):
        result = compare(case, device)
        differing += not result.agrees
        print(json.dumps(asdict(result)) if arguments.json else _line(result), flush=True)
    return 1 if differing else 0


def _line(result: Comparison) -> str:
    verdict = "agrees" if result.agrees else "DIFFERS"
    speed = result.bytes_moved / max(result.fast_ms, 1e-6) / 1e6
    return (
        f"{result.kernel:<20} {result.size:<44} {verdict:<8} {result.error:.1e}   "
        f"{result.fast_ms:8.3f} ms, twin {result.slow_ms:8.3f} ms, {speed:7.1f} GB/s"
    )


@contextmanager
def _poisoned() -> Iterator[None]:
    """Let torch fill fresh memory with NaN, so that a result left unwritten shows."""
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)


def _median_ms(run: Callable[[], torch.Tensor], device: torch.device, runs: int) -> float:
    times = []
    for _ in range(runs):
        _wait(device)
        start = time.perf_counter()
        run()
        _wait(device)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    sys.exit(main())
