"""What the pictures of a sparse model show: which points, how many pictures, how near the middle.

World units. Cells of the middle half of each picture that hold a point vote for what they show:
each cell has one vote, which its points share, so that a plain object counts by the room that it
takes in the pictures and not by how many features it has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.scene.colmap_model import MOST_OBSERVED, Observations, SparseModel

Floats = NDArray[np.float64]

_CELLS = 8  # along each side of the middle half of a picture
_MOST_CAMERAS = 200  # enough for a share of all


@dataclass(frozen=True)
class Views:
    """Every n-th point of a model, and what the pictures say about it.

    Attributes:
        points: [S, 3] world frame.
        shown: [S] share of the pictures whose frame holds the point, whether hidden or not.
        votes: [S] cells in the middle of pictures that show the point.
        nearest: [S] distance to the nearest camera that saw the point.
    """

    points: Floats
    shown: Floats
    votes: Floats
    nearest: Floats

    @classmethod
    def of(cls, model: SparseModel) -> Views:
        """Look at a model."""
        every = max(1, -(-len(model.points) // MOST_OBSERVED))
        points = model.points[::every]
        pinholes = _pinholes(model)
        seen = _every(model.observations, every)
        local = np.einsum(
            "oji,oj->oi",
            model.world_from_cam[seen.image, :3, :3],
            points[seen.point] - model.centers[seen.image],
        )
        nearest = np.full(len(points), np.inf)
        np.minimum.at(nearest, seen.point, np.linalg.norm(local, axis=1))
        votes = _votes(seen, _in_frame(local, pinholes[seen.image]), len(points))
        return cls(points, _shown(model, pinholes, points), votes, nearest)

    def share(self, inside: NDArray[np.bool_]) -> float:
        """Share of the votes that some points [S] have."""
        return float(self.votes[inside].sum() / max(self.votes.sum(), 1e-12))


def weighted_quantile(values: Floats, weights: Floats, share: float) -> float:
    """The smallest of the values [P] below or at which this share of the weights [P] lies."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order[min(np.searchsorted(total, share * total[-1]), len(order) - 1)]])


def _pinholes(model: SparseModel) -> Floats:
    """Focal lengths and principal points as multiples of the picture's sides, [N, 4]."""
    rows = {}
    for lens in model.lenses:
        if id(lens) not in rows:
            flat = lens.pinhole()
            sides = [flat.width, flat.height, flat.width, flat.height]
            rows[id(lens)] = np.divide([flat.fl_x, flat.fl_y, flat.cx, flat.cy], sides)
    return np.array([rows[id(lens)] for lens in model.lenses])


def _in_frame(local: Floats, pinholes: Floats) -> Floats:
    """Places in pictures, (0, 0) to (1, 1), of points [..., 3] in camera axes; NaN: behind."""
    depth = np.where(local[..., 2:] > 0, local[..., 2:], np.nan)
    return np.asarray(local[..., :2] / depth * pinholes[..., :2] + pinholes[..., 2:])


def _shown(model: SparseModel, pinholes: Floats, points: Floats) -> Floats:
    cameras = range(0, len(model.names), -(-len(model.names) // _MOST_CAMERAS))
    counts = np.zeros(len(points))
    for camera in cameras:
        pose = model.world_from_cam[camera]
        place = _in_frame((points - pose[:3, 3]) @ pose[:3, :3], pinholes[camera])
        counts += ((place >= 0) & (place <= 1)).all(axis=1)
    return counts / len(cameras)


def _every(known: Observations, every: int) -> Observations:
    """The observations of every n-th point, which counts as one."""
    chosen = known.point % every == 0
    return Observations(known.point[chosen] // every, known.image[chosen])


def _votes(seen: Observations, place: Floats, count: int) -> Floats:
    middle = 2 * place - 0.5  # the middle half becomes (0, 0) to (1, 1)
    central = ((middle >= 0) & (middle < 1)).all(axis=1)
    columns, rows = (middle[central] * _CELLS).astype(np.int64).T
    cell = (seen.image[central] * _CELLS + rows) * _CELLS + columns
    sharing = np.bincount(cell)
    votes = np.bincount(seen.point[central], 1 / sharing[cell], minlength=count)
    return np.asarray(votes, dtype=np.float64)
