"""Points of the world from the pixels at which pictures show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.recon.places.control_points import Mark

Floats = NDArray[np.float64]
_ROUNDS = 10
_LEAST_ANGLE_DEG = 1.0  # between two rays, or the distance is a guess


@dataclass(frozen=True)
class Ray:
    """Where a picture sees a mark: from `center` [3] along the unit vector `direction` [3].

    Attributes:
        focal_px: Pixels a radian near the axis.
    """

    center: Floats
    direction: Floats
    focal_px: float


@dataclass(frozen=True)
class Triangulated:
    """A point [3] of the world, seen by `views` pictures that miss it by `error_px` on average."""

    point: Floats
    views: int
    error_px: float


def rays_of(model: object, marks: Sequence[Mark]) -> list[Ray]:
    """The rays of the marks in pictures with a pose.

    Args:
        model: A `pycolmap.Reconstruction` of the pictures as filmed, with distortion.
    """
    images = {image.name: image for image in model.images.values()}  # type: ignore[attr-defined]
    found = []
    for mark in marks:
        image = images.get(mark.picture)
        if image is None:
            continue
        camera, cam_from_world = image.camera, image.cam_from_world()
        flat = camera.cam_from_img(np.array([mark.x, mark.y]))
        if flat is None:
            continue
        world_from_cam = cam_from_world.inverse()
        ray = np.asarray(world_from_cam.rotation.matrix()) @ np.array([*np.ravel(flat)[:2], 1.0])
        center = np.asarray(world_from_cam.translation)
        found.append(Ray(center, ray / np.linalg.norm(ray), float(camera.mean_focal_length())))
    return found


def triangulate(rays: Sequence[Ray]) -> Triangulated | None:
    """The point that rays miss by the smallest angles; None where they tell no distance.

    Minimises Σ |(I - d dᵀ)(X - c)|² / |X - c|², by least squares with weights taken anew.
    """
    if len(rays) < 2:
        return None
    centers = np.array([ray.center for ray in rays])
    directions = np.array([ray.direction for ray in rays])
    if np.degrees(np.arccos(np.clip(directions @ directions.T, -1, 1))).max() < _LEAST_ANGLE_DEG:
        return None
    across = np.eye(3) - directions[:, :, None] * directions[:, None]  # [N, 3, 3]
    weights, point = np.ones(len(rays)), np.zeros(3)
    for _ in range(_ROUNDS):
        left = (weights[:, None, None] * across).sum(axis=0)
        right = (weights[:, None] * np.einsum("nij,nj->ni", across, centers)).sum(axis=0)
        point = np.linalg.solve(left, right)
        weights = 1 / np.maximum(((point - centers) ** 2).sum(axis=1), 1e-300)
    away = point - centers
    along = (away * directions).sum(axis=1)
    if (along <= 0).any():
        return None
    missed = np.linalg.norm(np.einsum("nij,nj->ni", across, away), axis=1)
    focal = np.array([ray.focal_px for ray in rays])
    return Triangulated(point, len(rays), float((focal * missed / along).mean()))


def triangulate_all(
    model: object, marks: Mapping[str, Sequence[Mark]]
) -> tuple[dict[str, Triangulated], list[str]]:
    """The points that can be placed, by name, and the names of the others."""
    found = {name: triangulate(rays_of(model, some)) for name, some in marks.items()}
    placed = {name: point for name, point in found.items() if point is not None}
    return placed, [name for name in found if name not in placed]
