"""Points that dense stereo found, with normals: what holds the surface where photographs agree.

Close to such a point the distance field is known: f(p + t n) = t. As with sparse points
(`sparse_points.py`) the way to the camera that saw it is free.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from maquette.counting import counted
from maquette.errors import BadInput
from maquette.recon.mvs.colmap_files import made_again, read_fused, read_visibility
from maquette.recon.mvs.fused_files import free_space_file, visibility_file
from maquette.recon.surface.surface_points import Reliance
from maquette.recon.training.draws import Draws
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

Floats = NDArray[np.floating]

_REACH = 0.01  # unit space: so far from a point its plane tells the distance
_SLOPE = 0.2  # least growth of the distance along a line of sight
_CLEAR = 0.02  # unit space: more free distance than this is not asked for
_RARER = 2  # points for each free place that is asked for
_MARGIN, _THINNED = 1.25, 4  # of the region's box; outside it every so many points count
_RELIANCE = Reliance(
    weight=10.0, rest=0.3, per_ray=1.0, fit_iterations=300, fit_levels=5, is_whole=True
)


@dataclass(frozen=True)
class FreeSpace:
    """Places where nothing is, unit space.

    Attributes:
        places: [F, 3] float32.
        distances: [F] float32: so far from a surface they are at least.
    """

    places: Tensor
    distances: Tensor

    def loss(self, distance: Callable[[Tensor], Tensor], count: int, draws: Draws) -> Tensor:
        """How far the field reaches into some of them; scalar, unit lengths."""
        chosen = draws.integers(len(self.places), max(1, count // _RARER))
        missing = self.distances[chosen] - distance(self.places[chosen])
        return missing.clamp(min=0).mean()


@dataclass(frozen=True)
class DensePoints:
    """Oriented points and a camera that sees each, unit space.

    Attributes:
        points, normals, eyes: [P, 3] float32.
    """

    points: Tensor
    normals: Tensor
    eyes: Tensor
    free: FreeSpace | None = None
    reliance: Reliance = _RELIANCE

    @property
    def described(self) -> str:
        """What and how many they are, in a few words."""
        return counted(len(self.points), "point") + " of dense stereo"

    def loss(self, distance: Callable[[Tensor], Tensor], count: int, draws: Draws) -> Tensor:
        """How far the field contradicts `count` random points; scalar, unit lengths."""
        chosen = draws.integers(len(self.points), count)
        point, normal = self.points[chosen], self.normals[chosen]
        way = self.eyes[chosen] - point
        length = way.norm(dim=1, keepdim=True)
        way = way / length
        share = draws.uniform(count, 3)
        height = _REACH * (2 * share[:, :2] - 1)
        along = share[:, 2:].square() * length.clamp(max=1.0)
        asked = torch.cat(
            [point + height[:, :1] * normal, point + height[:, 1:] * normal, point + along * way]
        )
        one, two, front = torch.split(distance(asked), count)
        free = (_SLOPE * along[:, 0]).clamp(max=_CLEAR) - front
        off = (one - height[:, 0]).abs().mean() + (two - height[:, 1]).abs().mean()
        filled = 0.0 if self.free is None else self.free.loss(distance, count, draws)
        return off + free.clamp(min=0).mean() + filled


def read(
    scene: Scene, path: Path, frames: Sequence[Frame], region: Region, device: torch.device
) -> DensePoints | None:
    """Read fused points of dense stereo; None when none lies in the region.

    Args:
        path: Of the points; beside them, the views that see each.

    Raises:
        BadInput: the files are damaged, or of other photos than these.
    """
    cloud = read_fused(path)
    views = read_visibility(visibility_file(path))[:, 0]
    ordered = sorted(frames, key=lambda frame: frame.file_path)
    if cloud.normals is None or len(views) != len(cloud.points) or views.max() >= len(ordered):
        raise BadInput(
            f"`{scene.relative(path)}` and its `.vis` are not of this scene's photos",
            hint=made_again(path),
        )
    points = region.unit_from_world(cloud.points)
    # What the thing stands in shows well enough by few of them.
    is_near = region.widened(_MARGIN).contains(cloud.points)
    holds = ((points**2).sum(1) < 1.0) & (is_near | (np.arange(len(points)) % _THINNED == 0))
    if not holds.any():
        return None
    centers = np.stack([frame.world_from_cam[:3, 3] for frame in ordered])
    eyes = region.unit_from_world(centers)[views[holds]]

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(device)

    free = _free_space(free_space_file(path), points, region)
    return DensePoints(
        tensor(points[holds]),
        tensor(cloud.normals[holds]),
        tensor(eyes),
        None if free is None else FreeSpace(*map(tensor, free)),
    )


def _free_space(path: Path, points: Floats, region: Region) -> tuple[Floats, Floats] | None:
    """Free places in unit space, and how far from a surface they are at least."""
    if not path.is_file():
        return None
    try:
        given = np.load(path).reshape(-1, 3)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"`{path}` is damaged: {error}", hint=made_again(path)) from error
    if not len(given):
        return None
    places = region.unit_from_world(given)
    # Most places are farther than the bound from all: loose nodes are dismissed 60 times sooner.
    tree = cKDTree(points, compact_nodes=False, balanced_tree=False)
    nearest, _ = tree.query(places, distance_upper_bound=_CLEAR / _SLOPE)
    return places, np.minimum(_SLOPE * nearest, _CLEAR)
