"""Dense points, and sparse ones beyond them: depth maps end where few photographs overlap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from maquette.recon.surface.dense_points import DensePoints
from maquette.recon.surface.sparse_points import SparsePoints
from maquette.recon.surface.surface_points import Reliance
from maquette.recon.training.draws import Draws

_FAR = 0.03  # unit space: a sparse point with no dense one so near is beyond them
_LEAST = 300  # lines of sight to such points; fewer tell nothing


@dataclass(frozen=True)
class MixedPoints:
    """Dense points, and lines of sight to sparse ones that are far from all of them.

    Attributes:
        sparse: Each of their questions counts as much as it does alone.
    """

    dense: DensePoints
    sparse: SparsePoints

    @property
    def described(self) -> str:
        """What and how many they are, in a few words."""
        return f"{self.dense.described}, elsewhere by {self.sparse.described}"

    @property
    def reliance(self) -> Reliance:
        """That on the dense ones, which do not show all of the surface."""
        return replace(self.dense.reliance, is_whole=False)

    def loss(self, distance: Callable[[Tensor], Tensor], count: int, draws: Draws) -> Tensor:
        """How far the field contradicts `count` random dense points and a share of sparse ones."""
        ours, theirs = self.dense.reliance, self.sparse.reliance
        few = max(1, round(count * theirs.per_ray / ours.per_ray))
        beyond = self.sparse.loss(distance, few, draws)
        return self.dense.loss(distance, count, draws) + theirs.weight / ours.weight * beyond


def mixed(dense: DensePoints, sparse: SparsePoints | None) -> DensePoints | MixedPoints:
    """The dense points, with those of the sparse ones that lie beyond them."""
    if sparse is None:
        return dense
    tree = cKDTree(dense.points.cpu().numpy())
    distance, _ = tree.query(sparse.points.cpu().numpy(), distance_upper_bound=_FAR)
    chosen = torch.from_numpy(distance > _FAR).to(sparse.points.device)
    if int(chosen.sum()) < _LEAST:
        return dense
    return MixedPoints(dense, SparsePoints(sparse.points[chosen], sparse.eyes[chosen]))
