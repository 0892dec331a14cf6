"""What a picture should show large: the object in the region, not its ground.

Frames: "stage" coordinates have z up and the focus' centre at the origin, and lengths are
measured in focus radii; azimuth 0 is the front.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.cleaning import face_components
from maquette.recon.mesh.triangles import FloatArray, TriangleMesh, face_cross
from maquette.recon.pictures.capture import Cameras
from maquette.scene.region import Region

CENTRAL_SHARE = 0.6  # of the region's radius; what does not reach into it is not the subject
_PICTURED_SHARE = 0.5  # of the cameras, that have the subject in their pictures
_SHELL = 0.9  # of the region's radius; what lies beyond was probably cut off there
_SHELL_SHARE = 0.05  # of what stands in the region, up to which nothing much was cut off
_GROUND_SHARE = 0.12  # of all area, for a level to count as the ground
_GROUND_BAND = 0.03  # thickness of that level, region radii
_TALL = 0.3  # of the object's height; lower things far from it are uneven ground
_FOOT = 0.15  # of the object's width, by which its foot may be wider than what is tall
_LEAST_SHARE = 0.03  # of the central vertices, for what stands on the ground to be the object


@dataclass(frozen=True)
class Staged:
    """A mesh in stage coordinates.

    Attributes:
        mesh: With normals turned likewise.
        subject: [V] which vertices belong to what the picture is about.
        ground: Height of the ground, or None when there is none.
        rotation, origin, scale: stage = rotation @ (world - origin) / scale.
    """

    mesh: TriangleMesh
    subject: NDArray[np.bool_]
    ground: float | None
    rotation: FloatArray
    origin: FloatArray
    scale: float


def set_stage(
    mesh: TriangleMesh,
    region: Region,
    up: FloatArray,
    front: FloatArray,
    *,
    whole: bool = False,
    cameras: Cameras | None = None,
) -> Staged:
    """Choose what to show and bring it to stage coordinates.

    Args:
        mesh: World units.
        up: World direction, [3].
        front: World point on the side that azimuth 0 shows, [3].
        whole: The picture is about all that is in the region: a room, a street, a landscape.
        cameras: World frame; where the region cuts through things, what half of them have in
            their pictures is shown.
    """
    stage_from_world = axes(up, front - np.asarray(region.center))
    turned = replace(
        mesh,
        vertices=region.unit_from_world(mesh.vertices) @ stage_from_world.T,
        normals=None if mesh.normals is None else mesh.normals @ stage_from_world.T,
    )  # z up, region radii
    ground = None if whole else _ground_height(turned)

    def pictured() -> NDArray[np.bool_]:
        if cameras is None:
            return np.ones(len(mesh.vertices), bool)
        return np.asarray(share_in_view(mesh.vertices, cameras) >= _PICTURED_SHARE)

    subject = _in_region(turned.vertices) if whole else _subject(turned, ground, pictured)
    center, radius = _bounding_sphere(turned.vertices[subject])
    vertices = (turned.vertices - center) / radius
    floor = None if ground is None else (ground - float(center[2])) / radius
    origin = region.world_from_unit(stage_from_world.T @ center)
    return Staged(
        replace(turned, vertices=vertices),
        subject,
        floor,
        stage_from_world,
        origin,
        radius * region.radius,
    )


def axes(up: FloatArray, front: FloatArray) -> FloatArray:
    """Rotation [3, 3] with `up` as z and the level part of `front` as x."""
    z = up / np.linalg.norm(up)
    level = front - (front @ z) * z
    if np.linalg.norm(level) < 1e-6 * np.linalg.norm(front) + 1e-12:
        level = np.cross(z, np.eye(3)[np.argmin(np.abs(z))])
    x = level / np.linalg.norm(level)
    return np.stack([x, np.cross(z, x), z])


def _ground_height(mesh: TriangleMesh) -> float | None:
    """Height of the level on which most upward area lies, if it is much, below all else."""
    cross = face_cross(mesh)
    area = np.linalg.norm(cross, axis=1)
    flat = cross[:, 2] > 0.85 * area
    height = mesh.vertices[mesh.faces[flat, 0], 2]
    if len(height) == 0:
        return None
    bins = np.arange(height.min(), height.max() + 2 * _GROUND_BAND, _GROUND_BAND)
    histogram, edges = np.histogram(height, bins, weights=area[flat])
    best = int(np.argmax(histogram))
    if histogram[best] < _GROUND_SHARE * area.sum():
        return None
    inside = (height >= edges[best]) & (height <= edges[best + 1])
    return float(np.average(height[inside], weights=area[flat][inside]))


def _subject(
    mesh: TriangleMesh, ground: float | None, pictured: Callable[[], NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    """Vertices of what stands in the region; what reaches its middle, where it cuts through much.

    What stands is what rises above the ground, or all if that is too little.
    """
    vertices = mesh.vertices
    inside = _in_region(vertices)
    if ground is None:
        return _uncut(mesh, inside, np.linalg.norm(vertices, axis=1), pictured)
    standing = inside & (vertices[:, 2] > ground + _GROUND_BAND)
    across = np.linalg.norm(vertices[:, :2], axis=1)
    central = standing & (across <= CENTRAL_SHARE)
    if not central.any() or standing.sum() < _LEAST_SHARE * inside.sum():
        return _subject(mesh, None, pictured)
    height = float(np.percentile(vertices[central, 2], 99.5)) - ground
    tall = standing & (vertices[:, 2] > ground + _TALL * height)
    tall = _uncut(mesh, tall, across, pictured)
    return standing & _beneath(tall, vertices)


def _uncut(
    mesh: TriangleMesh,
    chosen: NDArray[np.bool_],
    across: FloatArray,
    pictured: Callable[[], NDArray[np.bool_]],
) -> NDArray[np.bool_]:
    """The chosen vertices but those of things about the object, where the region cuts off some.

    The object reaches into the middle of the region. It is shown whole, as far as the photos do.
    """
    shell = chosen & (np.linalg.norm(mesh.vertices, axis=1) > _SHELL)
    if shell.sum() <= _SHELL_SHARE * chosen.sum():
        return chosen
    body = _patches_with(mesh, chosen, chosen & (across <= CENTRAL_SHARE))
    shown = body & pictured()
    if shown.any():
        return np.asarray(shown)
    return body if body.any() else chosen


def _patches_with(
    mesh: TriangleMesh, chosen: NDArray[np.bool_], wanted: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Those of the chosen vertices [V] that hang together with a wanted one."""
    faces = mesh.faces[chosen[mesh.faces].all(axis=1)]
    patch = np.full(len(mesh.vertices), -1)
    label = face_components(replace(mesh, faces=faces))
    for corner in faces.T:
        patch[corner] = label
    reaching = np.zeros(int(label.max(initial=-1)) + 2, bool)
    reaching[patch[wanted & (patch >= 0)]] = True
    return np.asarray(wanted | (chosen & reaching[patch]))


def share_in_view(points: FloatArray, cameras: Cameras) -> FloatArray:
    """The share of the cameras that have each point [P, 3] within their picture, [P] 0..1.

    A picture counts as square, as long as its longer side; nothing hides anything.
    """
    having = np.zeros(len(points))
    for pose, tangent in zip(cameras.world_from_cam, cameras.tangents, strict=True):
        seen = (points - pose[:3, 3]) @ pose[:3, :3]
        having += (np.abs(seen[:, :2]) < tangent * seen[:, 2:]).all(axis=1)
    return having / max(len(cameras.tangents), 1)


def _beneath(tall: NDArray[np.bool_], vertices: FloatArray) -> NDArray[np.bool_]:
    """Vertices in the upright box round the tall ones, with what reaches a little farther."""
    low, high = np.percentile(vertices[tall, :2], [0.5, 99.5], axis=0)
    reach = _FOOT * (high - low).max()
    inside: NDArray[np.bool_] = (
        (vertices[:, :2] >= low - reach) & (vertices[:, :2] <= high + reach)
    ).all(axis=1)
    return inside


def _in_region(vertices: FloatArray) -> NDArray[np.bool_]:
    """Vertices in the region's sphere; all of them if none is."""
    inside: NDArray[np.bool_] = np.linalg.norm(vertices, axis=1) <= 1.0
    return inside if inside.any() else np.ones(len(vertices), dtype=bool)


def _bounding_sphere(points: FloatArray) -> tuple[FloatArray, float]:
    """Centre of the box of 99 % of the points per axis, and the radius that holds 99 %."""
    low, high = np.percentile(points, [0.5, 99.5], axis=0)
    center = 0.5 * (low + high)
    radius = float(np.percentile(np.linalg.norm(points - center, axis=1), 99))
    return center, max(radius, 1e-6)
