"""How many cameras see each vertex of a mesh: in their picture, in front of all else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.coarsening import coarsened
from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mesh.triangles import FloatArray, IndexArray, TriangleMesh, vertex_normals
from maquette.scene.transforms import Frame

Mask = Callable[[int], NDArray[np.bool_] | None]
Told = Callable[[int, int], None]
STEEPEST_DEG = 80.0  # between a vertex's normal and the way to a camera
_CHUNK_VERTICES = 1 << 18
_MOST_FACES = 3_000_000  # of what rays are cast at
_CELLS = 1024  # along a larger mesh, for the rays


def count_views(
    mesh: TriangleMesh,
    frames: Sequence[Frame],
    mask: Mask = lambda number: None,
    *,
    tolerance: float,
    enough: int = 2,
    among: IndexArray | None = None,
    told: Told = lambda done, total: None,
) -> NDArray[np.uint8]:
    """Count the cameras that see each vertex, [V], up to `enough`.

    A camera sees a vertex that projects into its picture on an unmasked pixel, at most
    `STEEPEST_DEG` from head-on, with no part of the mesh between them.

    Args:
        mesh: In the cameras' world; its normals, where it has them, tell the angle.
        mask: The used pixels of a frame by its number, [h, w] of any size in the picture's
            proportions; None where all are.
        tolerance: Length by which the mesh may lie in front of a vertex and not hide it.
        among: The only vertices that are asked about; the others stay at 0.
        told: Called with (cameras asked, cameras in all).
    """
    normals = vertex_normals(mesh) if mesh.normals is None else mesh.normals
    middle = mesh.vertices.mean(axis=0)
    scale = 1.0 / max(float(mesh.extent.max(initial=0.0)), 1e-12)
    unit = replace(
        mesh,
        vertices=((mesh.vertices - middle) * scale).astype(np.float32),
        normals=normals.astype(np.float32, copy=False),
        colors=None,
    )
    rays = RayScene(coarsened(unit, _CELLS) if len(unit.faces) > _MOST_FACES else unit)
    views = np.zeros(len(unit.vertices), np.uint8)
    asked = np.arange(len(views)) if among is None else among
    for done, number in enumerate(_spread_order(frames)):
        told(done, len(frames))
        pose = frames[number].world_from_cam.copy()
        pose[:3, 3] = (pose[:3, 3] - middle) * scale
        frame = replace(frames[number], world_from_cam=pose)
        pixels = mask(int(number))
        for chosen in _undecided(views, asked, enough):
            chosen = chosen[_faces_camera(unit, chosen, pose[:3, 3])]
            chosen = chosen[_is_pictured(unit.vertices[chosen], frame, pixels)]
            views[chosen[_is_free(rays, unit, chosen, pose[:3, 3], tolerance * scale)]] += 1
    told(len(frames), len(frames))
    return views


def _spread_order(frames: Sequence[Frame]) -> list[int]:
    """Frames in an order in which each differs most from those before, in place and direction.

    So most vertices have been seen enough after a few, and need no more rays.
    """
    if not frames:
        return []
    poses = np.stack([frame.world_from_cam for frame in frames])
    eyes = poses[:, :3, 3] - poses[:, :3, 3].mean(axis=0)
    spread = max(float(np.linalg.norm(eyes, axis=1).max()), 1e-12)
    places = np.concatenate([eyes / spread, poses[:, :3, 2]], axis=1)  # [N, 6]
    order, gap = [0], np.full(len(places), np.inf)
    while len(order) < len(places):
        gap = np.minimum(gap, ((places - places[order[-1]]) ** 2).sum(axis=1))
        gap[order[-1]] = -1.0
        order.append(int(np.argmax(gap)))
    return order


def _undecided(views: NDArray[np.uint8], asked: IndexArray, enough: int) -> Iterator[IndexArray]:
    for first in range(0, len(asked), _CHUNK_VERTICES):
        chunk = asked[first : first + _CHUNK_VERTICES]
        yield chunk[views[chunk] < enough]


def _faces_camera(mesh: TriangleMesh, chosen: IndexArray, eye: FloatArray) -> NDArray[np.bool_]:
    """Whether vertices [N] turn towards an eye, within `STEEPEST_DEG`."""
    assert mesh.normals is not None
    way = eye.astype(np.float32) - mesh.vertices[chosen]
    cosine = np.einsum("ij,ij->i", mesh.normals[chosen], way)
    least = np.float32(np.cos(np.radians(STEEPEST_DEG)))
    return np.asarray(cosine > least * np.sqrt(np.einsum("ij,ij->i", way, way)))


def _is_pictured(
    points: FloatArray, frame: Frame, mask: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """Whether points [N, 3] project on used pixels of a frame."""
    lens, pose = frame.intrinsics, frame.world_from_cam
    x, y, depth = ((points - pose[:3, 3]) @ pose[:3, :3]).T
    ahead = depth > 1e-9
    depth = np.where(ahead, depth, 1.0)
    right = (lens.fl_x * x / depth + lens.cx) / lens.width  # 0..1 in the picture
    down = (lens.fl_y * y / depth + lens.cy) / lens.height
    pictured = ahead & (right >= 0) & (right < 1) & (down >= 0) & (down < 1)
    if mask is not None:
        rows, columns = mask.shape
        inside = np.flatnonzero(pictured)
        row = (down[inside] * rows).astype(np.intp)
        pictured[inside] = mask[row, (right[inside] * columns).astype(np.intp)]
    return np.asarray(pictured)


def _is_free(
    rays: RayScene, mesh: TriangleMesh, chosen: IndexArray, eye: FloatArray, tolerance: float
) -> NDArray[np.bool_]:
    """Whether nothing lies between vertices [N] and an eye, but for the tolerance."""
    assert mesh.normals is not None
    points = mesh.vertices[chosen]
    way = eye - points
    distance = np.linalg.norm(way, axis=1, keepdims=True)
    start = points + tolerance * (mesh.normals[chosen] + way / distance)
    return ~rays.is_blocked(start, eye - start, 1.0)
