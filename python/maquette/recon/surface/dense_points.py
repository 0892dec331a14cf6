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
from torch import Tensor

from maquette.counting import counted
from maquette.errors import BadInput
from maquette.recon.mvs.colmap_files import made_again, read_fused, read_visibility
from maquette.recon.mvs.fused_files import visibility_file
from maquette.recon.surface.surface_points import Reliance
from maquette.recon.training.draws import Draws
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

_REACH = 0.01  # unit space: so far from a point its plane tells the distance
_SLOPE = 0.2  # least growth of the distance along a line of sight
_CLEAR = 0.02  # unit space: more free distance than this is not asked for
_MARGIN, _THINNED = 1.25, 4  # of the region's box; outside it every so many points count
_RELIANCE = Reliance(
    weight=10.0, rest=0.3, per_ray=1.0, fit_iterations=300, fit_levels=5, is_whole=True
)


@dataclass(frozen=True)
class DensePoints:
    """Oriented points and a camera that sees each, unit space.

    Attributes:
        points, normals, eyes: [P, 3] float32.
    """

    points: Tensor
    normals: Tensor
    eyes: Tensor
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
        return off + free.clamp(min=0).mean()


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

    return DensePoints(tensor(points[holds]), tensor(cloud.normals[holds]), tensor(eyes))
