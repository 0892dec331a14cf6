"""First points for the ground that photographs show and no reconstruction has points of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from maquette.recon.splats.first import First
from maquette.recon.splats.pictures import Pictures
from maquette.scene import region_support
from maquette.scene.transforms import Frame

Floats = NDArray[np.float64]
_CELLS = 48  # along a photograph's longer side
_FARTHEST = 2.0  # times the distance of the farthest points that a photograph shows
_FAR_SHARE = 0.95


@dataclass(frozen=True)
class Seen:
    """Points on the ground that one photograph shows.

    Attributes:
        points: [M, 3] world.
        places: [M, 2] where in its picture, as shares of width and height.
    """

    points: Floats
    places: Floats


def with_ground(found: First, pictures: Pictures, frames: Sequence[Frame], scale: float) -> First:
    """The points, and those of bare ground in the colours of the pictures that show them.

    Args:
        pictures: Of the frames; what their masks exclude is left out.
        scale: Size of what is looked at, world units.
    """
    points, colors = [found.points], [found.colors]
    for number, seen in enumerate(bare_ground(found.points, frames, scale)):
        picture = pictures.get(number, _CELLS / pictures.long_side)
        photo, mask = picture.photo.numpy(force=True), picture.mask
        height, width = photo.shape[1:]
        column, row = (seen.places * [width, height]).astype(int).T
        used = np.ones(len(row), bool) if mask is None else mask.numpy(force=True)[row, column]
        points.append(seen.points[used])
        colors.append(np.round(255 * photo[:, row, column].T[used]).astype(np.uint8))
    return replace(found, points=np.concatenate(points), colors=np.concatenate(colors))


def bare_ground(points: Floats, frames: Sequence[Frame], scale: float) -> list[Seen]:
    """Where photographs show the ground and none of the points, by frame.

    Each photograph is cut into cells; the ray of a cell that shows no point ends on the plane
    that the scene stands on. At a picture's edge, which few others show, splats would otherwise
    become fog before the camera.

    Args:
        points: [P, 3] that are there already, world; they tell where the ground is.
        scale: Size of what is looked at, world units.

    Returns:
        What each frame shows; nothing at all where there is no ground.
    """
    poses = np.stack([frame.world_from_cam for frame in frames])
    up = region_support.upwards(poses)
    plane = region_support.find(points, poses[:, :3, 3], up, scale)
    return [] if plane is None else [_hits(frame, points, plane) for frame in frames]


def _hits(frame: Frame, points: Floats, plane: region_support.Plane) -> Seen:
    lens = frame.intrinsics
    size, focal = np.array([lens.width, lens.height]), np.array([lens.fl_x, lens.fl_y])
    middle = np.array([lens.cx, lens.cy])
    cells = np.maximum(1, np.round(_CELLS * size / size.max())).astype(int)
    rotation, center = frame.world_from_cam[:3, :3], frame.world_from_cam[:3, 3]
    local = (points - center) @ rotation
    local = local[local[:, 2] > 0]
    at = (local[:, :2] / local[:, 2:] * focal + middle) / size
    inside = ((at >= 0) & (at < 1)).all(axis=1)
    if not inside.any():
        return Seen(np.empty((0, 3)), np.empty((0, 2)))
    farthest = _FARTHEST * float(np.quantile(local[inside, 2], _FAR_SHARE))
    is_empty = np.ones(cells, bool)
    is_empty[tuple((at[inside] * cells).astype(int).T)] = False
    places = (np.argwhere(is_empty) + 0.5) / cells
    rays = np.concatenate([(places * size - middle) / focal, np.ones((len(places), 1))], axis=1)
    rays = rays @ rotation.T
    steep = rays @ plane.normal
    depth = -plane.height(center) / np.where(np.abs(steep) < 1e-9, np.inf, steep)
    kept = (depth > 0) & (depth < farthest)
    return Seen(center + depth[kept, None] * rays[kept], places[kept])
