"""What does the hash grid cost, forward and backward, in each way of computing it?

    .venv/bin/python benchmarks/kernels.py [--json] [--points 100000] [--runs 15]

Seven levels of two features. numba is measured when it is installed; first calls, which
compile, are reported apart.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from maquette.recon.surface.hash_grid import HashGrid
from rows import Row, print_rows

Pass = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    grid = HashGrid(7, 4, 8, 17, 2, generator=generator)
    points = torch.rand(arguments.points, 3, generator=generator) * 2 - 1
    given = torch.rand(arguments.points, grid.width, generator=generator)
    passes: dict[str, dict[str, Pass]] = {
        "torch": torch_passes(grid, points, given, lambda x: grid.reference(x, grid.levels)),
        "warp": torch_passes(grid, points, given, grid),
    }
    with contextlib.suppress(ImportError):
        passes["numba"] = numba_passes(grid, points, given)
    print_rows(measure(passes, arguments.runs), arguments.json)


def torch_passes(
    grid: HashGrid, points: Tensor, given: Tensor, encode: Callable[[Tensor], Tensor]
) -> dict[str, Pass]:
    """Forward alone, and forward with backward."""

    def forward() -> None:
        with torch.no_grad():
            encode(points)

    def both() -> None:
        grid.table.grad = None
        encode(points).backward(given)  # type: ignore[no-untyped-call]

    return {"forward": forward, "forward and backward": both}


def measure(passes: dict[str, dict[str, Pass]], runs: int) -> list[Row]:
    """Medians, the tools taking turns."""
    times: dict[tuple[str, str], list[float]] = {}
    rows = []
    for tool, cases in passes.items():
        start = time.perf_counter()
        for run in cases.values():
            run()
        rows.append(Row("first calls", tool, "wall", time.perf_counter() - start, "s"))
    for _ in range(runs):
        for tool, cases in passes.items():
            for case, run in cases.items():
                start = time.perf_counter()
                run()
                times.setdefault((case, tool), []).append(time.perf_counter() - start)
    for (case, tool), values in sorted(times.items()):
        rows.append(Row(case, tool, "wall", 1000 * statistics.median(values), "ms"))
    return rows


def numba_passes(grid: HashGrid, points: Tensor, given: Tensor) -> dict[str, Pass]:
    """The same sums in numba: points in parallel forward, levels in parallel backward."""
    import numba as nb

    @nb.njit(inline="always")
    def row(x, y, z, cells, dense, mask):  # type: ignore[no-untyped-def]
        if dense:
            return (x * (cells + 1) + y) * (cells + 1) + z
        return (x ^ (y * np.int32(-1640531535)) ^ (z * np.int32(805459861))) & mask

    @nb.njit(inline="always")
    def place(value, cells):  # type: ignore[no-untyped-def]
        at = (value * np.float32(0.5) + np.float32(0.5)) * np.float32(cells)
        low = np.int32(at)
        return low, at - np.float32(low)

    @nb.njit(inline="always")
    def share(part, step):  # type: ignore[no-untyped-def]
        return part if step else np.float32(1) - part

    @nb.njit(parallel=True, fastmath=True)
    def forward(points, table, lattice, mask, result):  # type: ignore[no-untyped-def]
        for n in nb.prange(len(points)):
            for level in range(len(lattice)):
                cells, start, dense = lattice[level, 0], lattice[level, 1], lattice[level, 2]
                x, u = place(points[n, 0], cells)
                y, v = place(points[n, 1], cells)
                z, w = place(points[n, 2], cells)
                first, second = np.float32(0), np.float32(0)
                for i in range(2):
                    for j in range(2):
                        for k in range(2):
                            part = share(u, i) * share(v, j) * share(w, k)
                            at = start + row(x + i, y + j, z + k, cells, dense, mask)
                            first += part * table[at, 0]
                            second += part * table[at, 1]
                result[n, 3 + 2 * level] = first
                result[n, 4 + 2 * level] = second

    @nb.njit(parallel=True, fastmath=True)
    def backward(points, lattice, mask, given, total):  # type: ignore[no-untyped-def]
        for level in nb.prange(len(lattice)):
            cells, start, dense = lattice[level, 0], lattice[level, 1], lattice[level, 2]
            for n in range(len(points)):
                x, u = place(points[n, 0], cells)
                y, v = place(points[n, 1], cells)
                z, w = place(points[n, 2], cells)
                for i in range(2):
                    for j in range(2):
                        for k in range(2):
                            part = share(u, i) * share(v, j) * share(w, k)
                            at = start + row(x + i, y + j, z + k, cells, dense, mask)
                            total[at, 0] += part * given[n, 3 + 2 * level]
                            total[at, 1] += part * given[n, 4 + 2 * level]

    x, table = points.numpy(), grid.table.detach().numpy()
    lattice, mask = grid.lattice.numpy(), np.int32(grid.mask)
    result = np.zeros((len(x), grid.width), np.float32)
    gradient = given.numpy()

    def ahead() -> None:
        forward(x, table, lattice, mask, result)

    def both() -> None:
        ahead()
        backward(x, lattice, mask, gradient, np.zeros_like(table))

    ahead()
    if not np.allclose(result[:, 3:], grid(points).detach().numpy()[:, 3:], atol=1e-5):
        raise SystemExit("the twins disagree: their times mean nothing")
    return {"forward": ahead, "forward and backward": both}


if __name__ == "__main__":
    main()
