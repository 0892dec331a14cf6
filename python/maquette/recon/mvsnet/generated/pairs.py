"""Which views of a generated scene help one another: MVSNet's score, from the exact depths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mvs.neighbours import MVSNET, Pairs, Scoring
from maquette.recon.mvsnet.generated.scenes import GeneratedScene

Floats = NDArray[np.float64]
_STEP = 8  # every so many pixels of a view count
_NEAR = 0.02  # relative difference of depths at which a point is seen


def choose_pairs(scene: GeneratedScene, scoring: Scoring = MVSNET) -> Pairs:
    """The other views of each, the best first, with the sum of their scores over shared points."""
    views = range(len(scene.frames))
    points = [_points(scene, view) for view in views]
    pairs: Pairs = []
    for view in views:
        scores = {
            other: _score(scene, points[view], view, other, scoring)
            for other in views
            if other != view
        }
        order = sorted(scores, key=lambda other: -scores[other])
        pairs.append([(other, round(scores[other], 4)) for other in order])
    return pairs


def _points(scene: GeneratedScene, view: int) -> Floats:
    """World points [P, 3] of some pixels of a view."""
    depth = scene.depths[view].cpu().numpy()[::_STEP, ::_STEP].astype(np.float64)
    frame, lens = scene.frames[view], scene.frames[view].intrinsics
    y, x = _STEP * np.mgrid[: depth.shape[0], : depth.shape[1]] + 0.5
    rays = np.stack([(x - lens.cx) / lens.fl_x, (y - lens.cy) / lens.fl_y, np.ones_like(x)], -1)
    local = (rays * depth[..., None])[depth > 0]
    return np.asarray(local @ frame.world_from_cam[:3, :3].T + frame.world_from_cam[:3, 3])


def _score(scene: GeneratedScene, points: Floats, view: int, other: int, scoring: Scoring) -> float:
    depth = scene.depths[other].cpu().numpy()
    frame, lens = scene.frames[other], scene.frames[other].intrinsics
    centers = [scene.frames[number].world_from_cam[:3, 3] for number in (view, other)]
    local = (points - centers[1]) @ frame.world_from_cam[:3, :3]
    z = np.maximum(local[:, 2], 1e-9)
    x = np.floor(lens.fl_x * local[:, 0] / z + lens.cx)
    y = np.floor(lens.fl_y * local[:, 1] / z + lens.cy)
    inside = (local[:, 2] > 0) & (x >= 0) & (y >= 0) & (x < lens.width) & (y < lens.height)
    there = depth[np.where(inside, y, 0).astype(int), np.where(inside, x, 0).astype(int)]
    seen = inside & (np.abs(there - z) < _NEAR * z)
    one, two = (centers[0] - points[seen], centers[1] - points[seen])
    cosine = (one * two).sum(1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1))
    return float(scoring.of(np.degrees(np.arccos(np.clip(cosine, -1, 1)))).sum())
