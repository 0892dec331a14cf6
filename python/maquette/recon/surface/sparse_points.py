"""Points that structure from motion left behind, as a first idea of the surface.

A point says three things: the surface passes through it, the way from every camera that
saw it is free, and just behind it is matter. Using them is what makes a short run converge:
see Geo-NeuS (arXiv:2205.15848, section 3.2, the first statement) and DS-NeRF
(arXiv:2107.02791, the second). They are only a start; the photographs decide later.
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
from maquette.recon.surface.surface_points import Reliance
from maquette.recon.training.draws import Draws
from maquette.scene import colmap_model
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

_MIN_POINTS = 100
_MIN_TRACK, _MAX_ERROR_PX = 3, 1.5
_BEHIND = 0.01  # unit space: matter is at least this thick
_SLOPE = 0.2  # least growth of the distance along a line of sight
_CLEAR = 0.02  # unit space: more free distance than this is not asked for
_RELIANCE = Reliance(weight=1.0, rest=0.05, per_ray=0.25, fit_iterations=150, fit_levels=1)


@dataclass(frozen=True)
class SparsePoints:
    """Lines of sight to triangulated points, unit space.

    Attributes:
        points: [O, 3] float32, the point seen.
        eyes: [O, 3] float32, the camera's centre.
    """

    points: Tensor
    eyes: Tensor
    reliance: Reliance = _RELIANCE

    @property
    def described(self) -> str:
        """What and how many they are, in a few words."""
        return counted(len(self.points), "line") + " of sight to sparse points"

    def loss(self, distance: Callable[[Tensor], Tensor], count: int, draws: Draws) -> Tensor:
        """How far the field contradicts `count` random lines of sight; scalar, unit lengths."""
        chosen = draws.integers(len(self.points), count)
        point, way = self.points[chosen], self.eyes[chosen] - self.points[chosen]
        reach = way.norm(dim=1, keepdim=True)
        way = way / reach
        share = draws.uniform(count, 2)
        # Squared: more questions close to the surface, where they matter.
        before = share[:, :1].square() * reach.clamp(max=1.0)
        behind = share[:, 1:] * _BEHIND
        asked = torch.cat([point, point + before * way, point - behind * way])
        at, front, back = torch.split(distance(asked), count)
        free = (_SLOPE * before[:, 0]).clamp(max=_CLEAR) - front
        filled = back + _SLOPE * behind[:, 0]
        return at.abs().mean() + free.clamp(min=0).mean() + filled.clamp(min=0).mean()


def read(
    scene: Scene, frames: Sequence[Frame], region: Region, device: torch.device
) -> SparsePoints | None:
    """Read the sparse points of `sparse/0`, or None when there is no useful model.

    Poses come from `frames`, so a model whose images are named otherwise counts as none.

    Raises:
        BadInput: there are many points, but none in the region.
    """
    if not (scene.sparse / "points3D.bin").is_file():
        return None
    tracks = colmap_model.read_tracks(scene.sparse)
    centers = {Path(f.file_path).name: f.world_from_cam[:3, 3] for f in frames}
    known = np.array([name in centers for name in tracks.names], bool)
    eyes = np.array([centers.get(name, np.zeros(3)) for name in tracks.names]).reshape(-1, 3)
    seen = known[tracks.image]
    views = np.bincount(tracks.point[seen], minlength=len(tracks.points))
    is_sound = (views >= _MIN_TRACK) & (tracks.errors <= _MAX_ERROR_PX)
    holds = np.linalg.norm(region.unit_from_world(tracks.points), axis=1) < 1.0
    used = seen & (is_sound & holds)[tracks.point]
    outside = int((is_sound & ~holds).sum())
    if outside >= _MIN_POINTS and not used.any():
        raise BadInput(
            f"the region (center {region.center}, radius {region.radius:g}) holds none of the "
            f"{outside} points that the photographs agree on",
            hint="set the region again: `make adjust`, or `make prepare FORCE_STAGE=region`",
        )
    if used.sum() < _MIN_POINTS * _MIN_TRACK:
        return None

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(region.unit_from_world(values).astype(np.float32)).to(device)

    return SparsePoints(tensor(tracks.points[tracks.point[used]]), tensor(eyes[tracks.image[used]]))
