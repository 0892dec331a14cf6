"""Depths that structure from motion knows for free: its points, as each photograph sees them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.projection import NEAREST
from maquette.recon.splats.renderings import Rendering
from maquette.scene import colmap_model
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame

_MOST_ERROR_PX = 1.5
_LEAST_TRACK = 3
_COVERED = 0.5  # where less than this is covered there is no depth to judge


class SparseDepth:
    """Points [P, 3] by view, world frame.

    Source: Deng et al., "Depth-supervised NeRF", 2022; differs: disparities, whose errors do not
    grow with the distance.
    """

    def __init__(self, points: Sequence[Tensor]) -> None:
        self.points = list(points)

    @classmethod
    def read(cls, scene: Scene, frames: Sequence[Frame]) -> SparseDepth | None:
        """The sound points that each frame sees; None without a sparse model.

        Raises:
            BadInput: the model is damaged.
        """
        if not (scene.sparse / "points3D.bin").is_file():
            return None
        tracks = colmap_model.read_tracks(scene.sparse)
        seen = np.bincount(tracks.point, minlength=len(tracks.points))
        sound = (seen >= _LEAST_TRACK) & (tracks.errors <= _MOST_ERROR_PX)
        number = {name: index for index, name in enumerate(tracks.names)}
        found = []
        for frame in frames:
            image = number.get(Path(frame.file_path).name, -1)
            rows = tracks.point[(tracks.image == image) & sound[tracks.point]]
            found.append(torch.from_numpy(tracks.points[rows].astype(np.float32)))
        return cls(found)

    def loss(self, view: int, camera: Camera, shown: Rendering, extent: float) -> Tensor:
        """Mean difference of disparities, in 1 / extent; scalar."""
        points = self.points[view].to(shown.depth.device)
        local = points @ camera.rotation.detach().T + camera.translation.detach()
        local = local[local[:, 2] > NEAREST]
        z = local[:, 2]
        column = (camera.focal[0] * local[:, 0] / z + camera.principal[0]).long()
        row = (camera.focal[1] * local[:, 1] / z + camera.principal[1]).long()
        inside = (column >= 0) & (row >= 0) & (column < camera.width) & (row < camera.height)
        at = (row[inside], column[inside])
        covered = 1.0 - shown.passing[at]
        used = covered.detach() > _COVERED
        disparity = covered[used] / shown.depth[at][used].clamp(min=NEAREST)
        apart = (disparity - 1.0 / z[inside][used]).abs()
        return extent * apart.sum() / max(1, len(points))
