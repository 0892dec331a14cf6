"""Ground truth: cameras by video frame, the object's surface, the box to judge in.

Frame: "truth" is the ground truth's own world; cameras follow OpenCV (x right, y down).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.scene.paths import Scene

FloatArray = NDArray[np.float64]
FILE = "ground_truth.json"


@dataclass(frozen=True)
class GroundTruth:
    """What is known for certain about a scene.

    Attributes:
        poses: world_from_cam [4, 4] of frames, by video frame number or photo name.
        mesh: The object's surface, or None.
        box: [3, 2] where surfaces are compared, or None for everywhere.
    """

    poses: dict[int | str, FloatArray]
    mesh: TriangleMesh | None
    box: FloatArray | None

    @property
    def center(self) -> FloatArray:
        """The object's middle, [3]: of the box, else of the surface, else of the cameras."""
        if self.box is not None:
            return np.asarray(self.box.mean(axis=1))
        if self.mesh is not None:
            ends = [self.mesh.vertices.min(axis=0), self.mesh.vertices.max(axis=0)]
            return np.asarray(np.mean(ends, axis=0))
        return np.asarray(np.mean([pose[:3, 3] for pose in self.poses.values()], axis=0))

    @property
    def orbit_radius(self) -> float:
        """Mean distance of the true cameras from the object's middle."""
        centers = np.stack([pose[:3, 3] for pose in self.poses.values()])
        return float(np.linalg.norm(centers - self.center, axis=1).mean())


def read_truth(folder: Path) -> GroundTruth | None:
    """Read `ground_truth.json` and the mesh beside it; None when there is no such file.

    Raises:
        BadInput: a key is missing or malformed.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        poses = {_key(frame): _pose(frame) for frame in document["frames"]}
        box = document.get("evaluation_box")
        limits = None if box is None else np.asarray(box, dtype=np.float64).reshape(3, 2)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"`{path}` lacks or garbles a key: {error}") from error
    if not poses:
        raise BadInput(f"`{path}` names no frames")
    name = document.get("object_mesh")
    return GroundTruth(poses, read_mesh(folder / name) if name else None, limits)


def source_keys(scene: Scene) -> dict[str, int | str]:
    """From image names to their video frame number, or to the original photo's name."""
    path = scene.root / "images_raw.json"
    if not path.is_file():
        return {}
    entries = json.loads(path.read_text(encoding="utf-8"))["images"]
    return {
        entry["name"]: entry["original"] if entry.get("index") is None else int(entry["index"])
        for entry in entries
    }


def _key(frame: dict[str, Any]) -> int | str:
    return int(frame["index"]) if "index" in frame else str(frame["name"])


def _pose(frame: dict[str, Any]) -> FloatArray:
    return np.asarray(frame["world_from_cam"], dtype=np.float64).reshape(4, 4)
