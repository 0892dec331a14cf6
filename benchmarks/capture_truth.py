"""What a rendered capture says for certain: its surfaces, cameras and masks, and who sees what.

Frame: the capture's own world. Cameras follow OpenCV: x right, y down, z forward; pixel centres
at +0.5. See samples/README.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maquette.errors import NotFound
from maquette.recon.evaluate.triangle_distance import sample_evenly
from maquette.recon.evaluate.truth import FILE, GroundTruth, read_truth
from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.triangles import TriangleMesh, face_cross, unit_vectors
from maquette.scene.transforms import Intrinsics

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
STEEPEST_DEG = 75.0  # a surface seen at a larger angle to its normal is hardly seen


@dataclass(frozen=True)
class View:
    """A true camera: world_from_cam [4, 4], and where its mask is white [H, W], or None."""

    world_from_cam: FloatArray
    intrinsics: Intrinsics
    mask: BoolArray | None

    def holds(self, points: FloatArray) -> BoolArray:
        """Which points [P, 3] lie before the camera, in the picture and in the mask."""
        local = (points - self.world_from_cam[:3, 3]) @ self.world_from_cam[:3, :3]
        depth = np.maximum(local[:, 2], 1e-9)
        camera = self.intrinsics
        x = camera.fl_x * local[:, 0] / depth + camera.cx
        y = camera.fl_y * local[:, 1] / depth + camera.cy
        inside = (local[:, 2] > 0) & (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
        if self.mask is not None:
            inside[inside] = self.mask[y[inside].astype(int), x[inside].astype(int)]
        return np.asarray(inside)


@dataclass(frozen=True)
class CaptureTruth:
    """A capture's folder, read.

    Attributes:
        truth: The cameras and the object's surface.
        world: All surfaces.
        views: By photo name.
        reach: How near to a camera the object's surface counts; infinite: all of it does.
    """

    folder: Path
    scene_type: str
    truth: GroundTruth
    world: TriangleMesh
    views: dict[str, View]
    reach: float = float("inf")


def read_capture(folder: Path) -> CaptureTruth:
    """Read what `samples/render_captures.py` wrote."""
    truth = read_truth(folder)
    if truth is None:
        raise NotFound(f"no capture in `{folder}`: it lacks {FILE}")
    document = json.loads((folder / FILE).read_text(encoding="utf-8"))
    sizes = (document[key] for key in ("width", "height", "fl_x", "fl_y", "cx", "cy"))
    intrinsics = Intrinsics(*sizes)
    views = {
        str(name): View(pose, intrinsics, _mask(folder, str(name)))
        for name, pose in truth.poses.items()
    }
    world = read_mesh(folder / document["world_mesh"])
    reach = document.get("reach") or float("inf")
    return CaptureTruth(folder, document["scene_type"], truth, world, views, reach)


def _mask(folder: Path, name: str) -> BoolArray | None:
    path = (folder / "masks" / name).with_suffix(".png")
    if not path.is_file():
        return None
    with Image.open(path) as image:
        return np.asarray(image.convert("L")) > 127


def points_on(mesh: TriangleMesh, count: int) -> tuple[FloatArray, FloatArray]:
    """Points [P, 3] spread evenly by area, and the unit normals [P, 3] there."""
    points, faces = sample_evenly(mesh, count, 0)
    return points, np.asarray(unit_vectors(face_cross(mesh)), dtype=np.float64)[faces]


def reached(
    points: FloatArray, views: list[View], blockers: RayScene, allowance: float
) -> BoolArray:
    """Which points [P, 3] each camera has in its picture with nothing before them, [V, P].

    Args:
        allowance: How far behind the first surface of `blockers` a point may lie, world units.
    """
    found = np.zeros((len(views), len(points)), dtype=bool)
    for row, view in zip(found, views, strict=True):
        index = np.flatnonzero(view.holds(points))
        ways = view.world_from_cam[:3, 3] - points[index]
        distance = np.linalg.norm(ways, axis=1, keepdims=True)
        share = np.minimum(allowance / distance, 0.99)
        starts = points[index] + share * ways
        row[index] = ~blockers.is_blocked(starts, (1 - share) * ways, 1.0)
    return found


def facing(points: FloatArray, normals: FloatArray, views: list[View]) -> BoolArray:
    """To which cameras the surface at points [P, 3] turns at most STEEPEST_DEG away, [V, P]."""
    least = np.cos(np.radians(STEEPEST_DEG))
    found = []
    for view in views:
        ways = view.world_from_cam[:3, 3] - points
        cosine = np.einsum("ij,ij->i", ways, normals) / np.linalg.norm(ways, axis=1)
        found.append(cosine > least)
    return np.array(found)


def refined(mesh: TriangleMesh, box: FloatArray, longest: float) -> TriangleMesh:
    """The faces that meet a box [3, 2], cut in four until no edge is longer than `longest`."""
    corners, done = mesh.vertices[mesh.faces].astype(np.float64), []
    while len(corners):
        meets = (corners.max(axis=1) >= box[:, 0]) & (corners.min(axis=1) <= box[:, 1])
        corners = corners[meets.all(axis=1)]
        edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
        is_long = edges.max(axis=1, initial=0.0) > longest
        done.append(corners[~is_long])
        a, b, c = np.moveaxis(corners[is_long], 1, 0)
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        quarters = ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
        corners = np.concatenate([np.stack(quarter, axis=1) for quarter in quarters])
    points = np.concatenate(done).reshape(-1, 3)
    return TriangleMesh(points, np.arange(len(points), dtype=np.int32).reshape(-1, 3))
