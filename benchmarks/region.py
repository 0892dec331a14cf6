"""How well does the automatic region fit, against Neuralangelo's two rules?

`held` is the share of the true surface inside the region, `size` the sphere's radius over that
of the smallest ball around the truth (1 is tight; below 1 something is cut off). Where there is
no truth, `size` is that against Neuralangelo's rule. SCENE folders are prepared scenes; one named
like a folder of samples/ is judged on that ground truth.

    .venv/bin/python benchmarks/region.py [--json] [SCENE ...]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from rows import Row, print_rows

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import region_scenes  # noqa: E402
from maquette.recon.evaluate.cameras import compare_cameras  # noqa: E402
from maquette.recon.evaluate.truth import read_truth, source_keys  # noqa: E402
from maquette.scene import colmap_model, region_rules, region_search  # noqa: E402
from maquette.scene.colmap_model import SparseModel  # noqa: E402
from maquette.scene.paths import Scene  # noqa: E402
from maquette.scene.region import FloatArray, Region  # noqa: E402
from maquette.scene.region_fits import MARGIN, around_points  # noqa: E402


def main() -> None:
    words = [word for word in sys.argv[1:] if word != "--json"]
    rows = []
    for name, make in region_scenes.SCENES.items():
        scene = make(0)
        rows += judge(name, scene.scene_type, scene.model, scene.truth)
    for word in words:
        folder, _, scene_type = word.partition(":")
        scene = Scene(Path(folder).resolve())
        model = colmap_model.read(scene.sparse)
        rows += judge(scene.name, scene_type or "object", model, truth_of(scene, model))
    print_rows(rows, "--json" in sys.argv)


def judge(name: str, scene_type: str, model: SparseModel, truth: FloatArray | None) -> list[Row]:
    upstream = region_rules.estimate(scene_type, model.centers, model.axes, model.points)
    ours = region_search.find(scene_type, model)
    rows = []
    for tool, found in ((f"upstream:{upstream.rule}", upstream), (f"ours:{ours.rule}", ours)):
        rows += figures(name, tool, found.region, upstream.region, model, truth)
    return rows


def figures(
    name: str,
    tool: str,
    region: Region,
    peer: Region,
    model: SparseModel,
    truth: FloatArray | None,
) -> list[Row]:
    if truth is None:
        inside = float(region.contains(model.points).mean())
        size = region.half_width / peer.radius
        return [
            Row(name, tool, "points inside", 100 * inside, "%"),
            Row(name, tool, "size, upstream = 1", size, "×"),
        ]
    held = float(region.contains(truth).mean())
    size = region.half_width / (around_points(truth).radius / MARGIN)
    return [Row(name, tool, "held", 100 * held, "%"), Row(name, tool, "size", size, "×")]


def truth_of(scene: Scene, model: SparseModel) -> FloatArray | None:
    """The true surface of a sample in the scene's own world, [T, 3]."""
    truth, keys = read_truth(ROOT / "samples" / scene.name), source_keys(scene)
    if truth is None or truth.mesh is None:
        return None
    pairs = [
        (pose, truth.poses[keys[name]])
        for name, pose in zip(model.names, model.world_from_cam, strict=True)
    ]
    estimated, true = (np.stack(poses) for poses in zip(*pairs, strict=True))
    move = compare_cameras(estimated, true).truth_from_world
    return np.asarray((truth.mesh.vertices - move.translation) @ move.rotation / move.scale)


if __name__ == "__main__":
    main()
