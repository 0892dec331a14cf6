"""How good is the mesh of a dense workspace, and what does it cost, by mesher and by step?

    .venv/bin/python benchmarks/meshing.py --scene DIR --truth samples/owl [--json]
        [--variants tsdf-1.5 tsdf-2 poisson-9] [--samples 200000] [--pictures FOLDER]

--scene is a prepared scene with `dense/photogrammetry/experiments/` complete. A variant is a mesher
with pixels along a cell (tsdf) or the octree's depth (poisson). Lengths are per cent of the radius
of the region's sphere, as `make evaluate` has them. Each variant runs in a process of its own,
which tells its CPU seconds, children included, and its peak memory.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from maquette.recon.evaluate.cameras import compare_cameras
from maquette.recon.evaluate.evaluation import moved
from maquette.recon.evaluate.similarity import Similarity
from maquette.recon.evaluate.surfaces import crop, inside, nearest, spread
from maquette.recon.evaluate.truth import GroundTruth, read_truth, source_keys
from maquette.recon.geometry.points import read_points
from maquette.recon.mesh.attributes import to_world
from maquette.recon.mesh.cleaning import drop_crumbs, drop_degenerate, drop_long
from maquette.recon.mesh.clipping import clip_to_ball, clip_to_box
from maquette.recon.mesh.coloring import colored_by_points
from maquette.recon.mesh.decimation import decimated
from maquette.recon.mesh.depth_maps import DepthMaps
from maquette.recon.mesh.holes import close_holes
from maquette.recon.mesh.ply import write_ply
from maquette.recon.mesh.poisson import PoissonOptions, reconstruct
from maquette.recon.mesh.smoothing import denoise, smooth
from maquette.recon.mesh.triangles import TriangleMesh, vertex_normals
from maquette.recon.mesh.tsdf import TsdfOptions, extract_from_maps
from maquette.recon.mesh.unseen import treat_unseen
from maquette.recon.mvs.colmap_files import read_filtered
from maquette.scene import transforms
from maquette.scene.paths import Scene
from rows import Row, print_rows

VARIANTS = ("tsdf-1.5", "tsdf-1", "tsdf-2", "poisson-9", "poisson-8")
THRESHOLDS = {"F 1 %": 0.01, "F 0.25 %": 0.0025}


def main() -> None:
    arguments = _arguments()
    rows: list[Row] = []
    for variant in arguments.variants:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            for values in pool.submit(measured, variant, arguments).result():
                rows += [Row(f"{variant}, {values['step']}", "maquette", name, value, unit)
                         for name, value, unit in values["figures"]]  # fmt: skip
                print(values, file=sys.stderr)
    print_rows(rows, arguments.json)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scene", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--variants", nargs="+", default=VARIANTS, metavar="NAME")
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--pictures", type=Path, help="where the last mesh of each goes, as PLY")
    return parser.parse_args()


def measured(variant: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The figures after each step of one variant."""
    judge = Judge(arguments.scene, arguments.truth, arguments.samples)
    spent, found, mesh = 0.0, [], None
    for step, mesh, seconds in steps(variant, arguments.scene):
        spent += seconds
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = max(peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
        figures = [("CPU, all steps so far", spent, "s"), ("peak memory", peak / 2**20, "GiB")]
        found.append({"step": step, "figures": [*figures, *judge.figures(mesh)]})
    if arguments.pictures and mesh is not None:
        write_ply(arguments.pictures / f"{variant}.ply", mesh)
    return found


def steps(variant: str, root: Path) -> Iterator[tuple[str, TriangleMesh, float]]:
    """A mesh in the world after each step, and what that took, in CPU seconds."""
    cameras = transforms.read(root / "transforms.json")
    region, frames = cameras.region, sorted(cameras.frames, key=lambda f: f.file_path)
    folder = root / "dense/photogrammetry/experiments"
    mesher, size = variant.split("-")
    names = [Path(frame.file_path).name for frame in frames]

    def read(number: int) -> tuple[np.ndarray, np.ndarray]:
        found = read_filtered(folder / "stereo", names[number])
        return found.depth, found.normals

    def lay() -> TriangleMesh:
        maps = DepthMaps.of(frames, read, region)
        cell = maps.footprint(region) * (float(size) if mesher == "tsdf" else 1.5)
        cloud = read_points(folder / "fused.ply")
        unit = region.unit_from_world(cloud.points)
        cloud = replace(cloud, points=unit).chosen((unit**2).sum(axis=1) < 1.05**2)
        if mesher == "tsdf":
            mesh = extract_from_maps(maps, region.unit_box(), TsdfOptions(round(2 / cell)))
        else:
            mesh = clip_to_box(
                reconstruct(cloud, PoissonOptions(int(size)), root), region.unit_box()
            )
        mesh = drop_degenerate(clip_to_ball(mesh))
        mesh = replace(mesh, normals=vertex_normals(mesh))
        seen = treat_unseen(mesh, "drop", maps.frames, lambda number: None, 2 * cell).mesh
        return to_world(colored_by_points(seen, cloud), region)

    mesh, spent = timed(lay)
    yield "mesh", mesh, spent
    for step, work in (
        ("closed", lambda m: close_holes(drop_crumbs(drop_long(m, 60.0), 20), 40)[0]),
        ("filtered", lambda m: smooth(m, 5)),
        ("smoothed", lambda m: denoise(m, 3, 20.0)),
        ("decimated", lambda m: decimated(m, len(m.faces) // 10)),
    ):
        mesh, spent = timed(lambda work=work, mesh=mesh: work(mesh))
        yield step, mesh, spent


def timed(work: Callable[[], TriangleMesh]) -> tuple[TriangleMesh, float]:
    """What some work gives, and its CPU seconds, those of its processes included."""
    start = _cpu_s()
    result = work()
    return result, _cpu_s() - start


def _cpu_s() -> float:
    return sum(
        resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )


class Judge:
    """Measures meshes of one scene against its truth."""

    def __init__(self, root: Path, truth: Path, samples: int) -> None:
        found = read_truth(truth)
        if found is None or found.mesh is None:
            raise SystemExit(f"no ground truth with a mesh: {truth}")
        self._truth, self._samples = found, samples
        cameras = transforms.read(root / "transforms.json")
        self._similarity = _aligned(root, cameras.frames, found)
        self._radius = cameras.region.radius * self._similarity.scale

    def figures(self, mesh: TriangleMesh) -> list[tuple[str, float, str]]:
        """Accuracy, completeness and the rest; names and units as in the table."""
        truth, box, count = self._truth.mesh, self._truth.box, self._samples
        result, true = crop(moved(mesh, self._similarity), box), crop(truth, box)
        there, here = (
            points.chosen(inside(points.points, box)).points
            for points in (spread(result, count), spread(true, count))
        )
        away, missed = nearest(there, true, count)[0], nearest(here, result, count)[0]
        found = [
            ("accuracy", 100 * away.mean() / self._radius, "%"),
            ("completeness", 100 * missed.mean() / self._radius, "%"),
            ("Chamfer", 50 * (away.mean() + missed.mean()) / self._radius, "%"),
        ]
        for name, limit in THRESHOLDS.items():
            precision, recall = (float((d <= limit * self._radius).mean()) for d in (away, missed))
            found.append((name, 2 * precision * recall / max(precision + recall, 1e-9), ""))
        return [*found, ("faces", len(mesh.faces), "")]


def _aligned(root: Path, frames: Any, truth: GroundTruth) -> Similarity:
    keys = source_keys(Scene(root))
    pairs = [
        (frame.world_from_cam, truth.poses[keys[Path(frame.file_path).name]]) for frame in frames
    ]
    estimated, true = (np.stack(poses) for poses in zip(*pairs, strict=True))
    return compare_cameras(estimated, true).truth_from_world


if __name__ == "__main__":
    main()
