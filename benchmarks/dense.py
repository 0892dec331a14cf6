"""How good is one depth map, and what does it cost? Four source views, 12 and 45 degrees apart.

    .venv/bin/python benchmarks/dense.py [--json] [--width 480]

The scene is rendered, so depths are exact; all pixels count, those too that no source sees.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from dense_scene import Seen, frames_around, render
from maquette.recon.mvs.kernels.checks import make_kernels
from maquette.recon.mvs.patch_match import estimate, refine
from maquette.recon.mvs.stacks import GreyView
from rows import Row, print_rows

_LUMA = np.array([0.299, 0.587, 0.114])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--width", type=int, default=480)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    list(make_kernels())
    rows = [Row("kernels, first use", "maquette", "cpu", time.process_time() - start, "s")]
    for angle in (12.0, 45.0):
        seen = render(frames_around(angle, arguments.width, arguments.width * 3 // 4))
        rows += measure(f"4 sources, {angle:g} degrees", seen)
    print_rows(rows, arguments.json)


def measure(case: str, seen: list[Seen]) -> list[Row]:
    """From the pictures alone, then with the sources' true depths as the geometric pass."""
    truth = seen[0].depth
    views = [GreyView(view.frame, grey(view)) for view in seen]
    span = 0.75 * float(truth.min()), 1.25 * float(truth.max())
    start = time.process_time()
    found = estimate(views[0], views[1:], span)
    middle = time.process_time()
    sources = [
        GreyView(view.frame, view.image, depth=other.depth)
        for view, other in zip(views[1:], seen[1:], strict=True)
    ]
    refined = refine(found, views[0], sources, span)
    end = time.process_time()
    rows = []
    for name, depth, cpu_s in (
        ("pictures", found.depth, middle - start),
        ("+ true depths", refined.depth, end - middle),
    ):
        error = np.abs(depth - truth) / truth
        rows.append(Row(f"{case}, {name}", "maquette", "cpu", cpu_s, "s"))
        for limit in (0.005, 0.01):
            share = 100 * float((error < limit).mean())
            rows.append(
                Row(f"{case}, {name}", "maquette", f"pixels < {100 * limit:g} %", share, "%")
            )
    return rows


def grey(view: Seen) -> np.ndarray:
    return np.asarray(np.rint(view.image @ _LUMA), np.uint8)


if __name__ == "__main__":
    main()
