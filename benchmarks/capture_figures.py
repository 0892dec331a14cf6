"""Figures of one capture: cameras and region after prepare, the mesh after extract.

Lengths are shares of the object's size: the diameter of the smallest ball that holds 98 % of its
well-seen surface, which is what at least two posed cameras see at most 75 degrees off its normal.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from capture_truth import (
    BoolArray,
    CaptureTruth,
    FloatArray,
    View,
    facing,
    points_on,
    reached,
    refined,
)
from maquette.recon.evaluate.cameras import compare_cameras
from maquette.recon.evaluate.similarity import Similarity
from maquette.recon.evaluate.triangle_distance import nearest_faces
from maquette.recon.evaluate.truth import source_keys
from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.scene import colmap_model, stage_records, transforms
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.region_fits import around_points

SAMPLES = 30_000  # points spread over each surface
_FINER = 5  # times as many find near faces by
_BALL_SHARE = 0.98
_TOLERANCE = 0.01  # of the object's size
_NEGLIGIBLE = 1e-4  # of the object's size: rounding of rays
_LEAST_VIEWS = 2
_FAR = 0.05  # of the object's size: Chamfer's means count no distance as more
_CELLS = 50  # longest edge of true faces that distances are taken to: the size over this


@dataclass(frozen=True)
class Known:
    """A prepared capture beside its truth; all in the truth's frame.

    Attributes:
        views: The true cameras of the photos that were posed.
        seen: [S, 3] points spread over the object's well-seen surface.
        size: Diameter of the ball that holds 98 % of them.
        region: The scene's, in the scene's world.
    """

    capture: CaptureTruth
    views: list[View]
    camera_errors: FloatArray
    truth_from_world: Similarity
    seen: FloatArray
    size: float
    region: Region

    def world_from_truth(self, points: FloatArray) -> FloatArray:
        """Points [P, 3] in the scene's world."""
        move = self.truth_from_world
        return np.asarray((points - move.translation) @ move.rotation / move.scale)


def known(capture: CaptureTruth, scene: Scene) -> Known:
    """Align a prepared scene with its truth."""
    cameras, keys = transforms.read(scene.transforms), source_keys(scene)
    named = [(str(keys[Path(frame.file_path).name]), frame) for frame in cameras.frames]
    views = [capture.views[name] for name, _ in named]
    errors = compare_cameras(
        np.stack([frame.world_from_cam for _, frame in named]),
        np.stack([view.world_from_cam for view in views]),
    )
    seen = well_seen(capture, views)
    size = 2 * around_points(seen, _BALL_SHARE).radius
    return Known(
        capture, views, errors.position, errors.truth_from_world, seen, size, cameras.region
    )


def well_seen(capture: CaptureTruth, views: list[View], samples: int = SAMPLES) -> FloatArray:
    """Points [S, 3] of the object's true surface, within reach, that two cameras see well."""
    assert capture.truth.mesh is not None
    points, normals = points_on(capture.truth.mesh, samples)
    span = float(np.linalg.norm(capture.truth.mesh.extent))
    sees = reached(points, views, RayScene(capture.world), _NEGLIGIBLE * span)
    sees &= facing(points, normals, views)
    eyes = np.stack([view.world_from_cam[:3, 3] for view in views])
    distance, _ = cKDTree(eyes).query(points)
    return points[(sees.sum(axis=0) >= _LEAST_VIEWS) & (distance <= capture.reach)]


def prepare_figures(found: Known, scene: Scene) -> dict[str, float | str]:
    """Cameras and region."""
    held = found.region.contains(found.world_from_truth(found.seen))
    ball = found.size / (2 * found.truth_from_world.scale)  # in the scene's world
    points = colmap_model.read(scene.sparse).points
    record = stage_records.read(scene, "region")
    return {
        "posed": len(found.views),
        "photos": len(found.capture.views),
        "camera error": 100 * float(np.median(found.camera_errors)) / found.size,
        "held": 100 * float(held.mean()),
        "radius": found.region.half_width / ball,
        "points inside": 100 * float(found.region.contains(points).mean()),
        "rule": str(record.numbers.get("rule", "")) if record else "",
    }


def mesh_figures(found: Known, mesh_path: Path, samples: int = SAMPLES) -> dict[str, float | str]:
    """The extracted mesh beside the true surfaces."""
    mesh = read_mesh(mesh_path)
    vertices = found.truth_from_world.apply(mesh.vertices)
    mesh = TriangleMesh(vertices, mesh.faces)
    tolerance = _TOLERANCE * found.size
    points, _ = points_on(mesh, samples)
    is_open, is_seen = truly_seen(points, mesh, found, tolerance)
    to_truth = distance_to_world(points, found, _FINER * samples)
    inside = found.region.contains(found.world_from_truth(found.seen))
    wanted = found.seen[inside]
    to_mesh, _ = nearest_faces(wanted, mesh, _FINER * samples)
    far = _FAR * found.size
    mean = 50 * (np.minimum(to_truth, far).mean() + np.minimum(to_mesh, far).mean()) / found.size
    seen_error = float(np.quantile(to_truth[is_seen], 0.9)) if is_seen.any() else float("nan")
    return {
        "hidden": 100 * float((~is_open).mean()),
        "unseen": 100 * float((~is_seen).mean()),
        "missing": 100 * float((to_mesh > tolerance).mean()),
        "accuracy": 100 * float(np.median(to_truth)) / found.size,
        "accuracy 90 %": 100 * float(np.quantile(to_truth, 0.9)) / found.size,
        "accuracy seen 90 %": 100 * seen_error / found.size,
        "completeness": 100 * float(np.median(to_mesh)) / found.size,
        "completeness 90 %": 100 * float(np.quantile(to_mesh, 0.9)) / found.size,
        "Chamfer": float(mean),
        "F 1 %": 100 * f_score(to_truth, to_mesh, 0.01 * found.size),
        "F 0.25 %": 100 * f_score(to_truth, to_mesh, 0.0025 * found.size),
    }


def f_score(to_truth: FloatArray, to_mesh: FloatArray, limit: float) -> float:
    """The harmonic mean of the shares of both that lie within a limit."""
    precision, recall = float((to_truth <= limit).mean()), float((to_mesh <= limit).mean())
    return 2 * precision * recall / max(precision + recall, 1e-9)


def truly_seen(
    points: FloatArray, mesh: TriangleMesh, found: Known, tolerance: float
) -> tuple[BoolArray, BoolArray]:
    """Which points [P, 3] of a mesh some camera sees past the mesh, and past the truth too.

    The first is all that an extraction can know; the second needs the surface to be right.
    """
    past_mesh = reached(points, found.views, RayScene(mesh), 10 * _NEGLIGIBLE * found.size)
    past_truth = reached(points, found.views, RayScene(found.capture.world), tolerance)
    return past_mesh.any(axis=0), np.asarray((past_mesh & past_truth).any(axis=0))


def distance_to_world(points: FloatArray, found: Known, samples: int) -> FloatArray:
    """Distance [P] of points [P, 3] to the nearest true surface of anything."""
    margin = 0.5 * found.size
    box = np.stack([points.min(axis=0) - margin, points.max(axis=0) + margin], axis=1)
    nearby = refined(found.capture.world, box, found.size / _CELLS)
    distance, _ = nearest_faces(points, nearby, samples)
    return distance
