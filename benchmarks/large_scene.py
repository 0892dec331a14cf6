"""A prepared scene from a rendered capture, with its true cameras: no features, no matching.

    .venv/bin/python samples/render_captures.py --out build/captures circle-50
    .venv/bin/python benchmarks/large_scene.py build/captures/circle-50 scenes/circle-50

Sparse points are taken from the true surface, 0.001 of the world's unit off. The region is a sphere
round the object, as a person sets it with `make adjust`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np

from capture_truth import CaptureTruth, read_capture
from maquette.recon.evaluate.triangle_distance import sample_evenly
from maquette.recon.mesh.ray_casting import RayScene
from maquette.scene import transforms
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame, Transforms

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from synthetic_scene import write_model  # noqa: E402

_LANDMARKS, _NOISE = 4000, 1e-3
_MARGIN = 1.1  # of the sphere round the object's box


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", type=Path, help="folder of render_captures.py")
    parser.add_argument("scene", type=Path)
    arguments = parser.parse_args()
    write_scene(read_capture(arguments.capture), Scene(arguments.scene))


def write_scene(capture: CaptureTruth, scene: Scene) -> None:
    """Write images/, transforms.json and sparse/0: what prepare would leave."""
    shutil.copytree(capture.folder / "photos", scene.images)
    frames = tuple(
        Frame(f"images/{name}", view.world_from_cam, view.intrinsics)
        for name, view in sorted(capture.views.items())
    )
    box = capture.truth.box
    assert box is not None, "the capture names no box"
    radius = _MARGIN * float(np.linalg.norm(np.ptp(box, axis=1))) / 2
    region = Region.around(box.mean(axis=1), radius)
    transforms.write(scene.transforms, Transforms(frames, region))
    world = RayScene(capture.world)

    def seen(frame: Frame, asked: np.ndarray) -> np.ndarray:
        eye = frame.world_from_cam[:3, 3]
        return ~world.is_blocked(np.broadcast_to(eye, asked.shape), asked - eye, 0.999)

    assert capture.truth.mesh is not None
    points, _ = sample_evenly(capture.truth.mesh, _LANDMARKS, seed=0)
    write_model(scene, points, seen, _NOISE)


if __name__ == "__main__":
    main()
