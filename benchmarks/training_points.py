"""How many photos have to agree on the points that a training begins with, and how closely?

    .venv/bin/python benchmarks/training_points.py [NAME ...] [--cache DIR]

Reads the quick depth maps of captures (benchmarks/captures.py NAME --mesh --cache DIR, first) and
fuses them anew with several limits. Lengths are shares of the object's size, in per cent.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from capture_figures import distance_to_world, known
from capture_truth import read_capture
from maquette.recon.mvs.agreement import Agreement
from maquette.recon.mvs.colmap_files import read_maps
from maquette.recon.mvs.fusion import filter_map, fuse
from maquette.recon.mvs.patch_match import DepthMap
from maquette.recon.mvs.shards import Material
from maquette.scene import transforms
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from rows import machine

Figures = tuple[float, int, float, float, float]
ROOT = Path(__file__).resolve().parents[1]
LIMITS = {
    "2 others, 1 %, 30°": Agreement(),
    "2 others, 1 %, 60°": Agreement(normal_deg=60.0),
    "2 others, 2 %, 60°": Agreement(depth=0.02, normal_deg=60.0),
    "1 other, 1 %, 30°": Agreement(views=1),
    "1 other, 2 %, 60°": Agreement(depth=0.02, normal_deg=60.0, views=1),
    "1 other, 3 %, 90°, 2 px": Agreement(2.0, 0.03, 90.0, 1),
}
_ASKED, _FINER = 20_000, 400_000  # points that are measured, places on the truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["street"], metavar="NAME")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "captures")
    arguments = parser.parse_args()
    print(f"{machine()}\n")
    print(f"{'':32} {'pixels':>7} {'points':>9} {'median':>7} {'90 %':>6} {'truth met at 1 %':>17}")
    for name in arguments.names:
        for limits, figures in measured(name, arguments.cache.resolve()):
            pixels, points, median, most, met = figures
            row = f"{pixels:7.1%} {points:9,.0f} {median:7.3f} {most:6.3f} {met:17.1%}"
            print(f"{name}, {limits:{30 - len(name)}} {row}", flush=True)


def measured(name: str, cache: Path) -> Iterator[tuple[str, Figures]]:
    """For each of the limits: pixels kept, points, their distance to the truth, truth met."""
    scene = Scene(cache / "scenes" / name, "neuralangelo")
    found = known(read_capture(cache / "rendered" / name), scene)
    region = transforms.read(scene.transforms).region
    for limits, agreement in LIMITS.items():
        kept, points = fused(scene, Region.around(region.center, region.radius), agreement)
        points = found.truth_from_world.apply(points)
        chosen = np.random.default_rng(0).permutation(len(points))[:_ASKED]
        off = 100 * distance_to_world(points[chosen], found, _FINER) / found.size
        missing, _ = cKDTree(points).query(found.seen)
        met = float((missing <= 0.01 * found.size).mean())
        yield limits, (kept, len(points), float(np.median(off)), float(np.quantile(off, 0.9)), met)


def fused(scene: Scene, region: Region, agreement: Agreement) -> tuple[float, NDArray[np.float64]]:
    """The share of pixels that pass, and the points in the region, world frame."""
    material = Material.of(scene, "experiments")
    plan, frames = material.plan, material.frames

    @lru_cache(64)
    def read(view: int) -> DepthMap:
        return read_maps(material.stereo, plan.names[view])

    maps = {
        view: filter_map(
            read(view), frames[view], [(read(n), frames[n]) for n in plan.sources(view)], agreement
        )
        for view in plan.views
    }
    sources = [plan.sources(view) for view in range(len(plan.names))]
    parts = fuse(frames, sources, maps.__getitem__, material.views.image, agreement, plan.views)
    points = np.concatenate([part.points for part in parts]).astype(np.float64)
    kept = float(np.mean([(found.depth > 0).mean() for found in maps.values()]))
    return kept, points[region.contains(points)]


if __name__ == "__main__":
    main()
