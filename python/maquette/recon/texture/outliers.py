"""Views of a face that show something else in front of it, such as people walking by.

Most views of a face show the same colour. A Gaussian is fitted to the colours of the views that
count, those far from it stop counting, and so on until nothing changes. Source: Waechter,
Moehrle and Goesele, "Let there be color! Large-scale texturing of 3D reconstructions", ECCV
2014, section 4.1 (photo-consistency check); differs: the Gaussian is never narrower than noise
and misalignment are, and starts at the median colour.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maquette.recon.texture.candidates import Candidates

_ROUNDS = 10
_LEAST_VIEWS = 4  # of a face, for a majority to be told
_NOISE = 14.0  # of 255: the least standard deviation
_FARTHEST = 9.0  # squared Mahalanobis distance: three standard deviations
_FACES_AT_ONCE = 1 << 16


def find_outliers(candidates: Candidates) -> NDArray[np.bool_]:
    """Which views of each face show another thing, [F, K]; never half of them or more."""
    dropped = np.zeros(candidates.view.shape, bool)
    valid = candidates.quality > 0
    several = np.flatnonzero((valid.sum(axis=1) >= _LEAST_VIEWS) & _spread(candidates.color, valid))
    for first in range(0, len(several), _FACES_AT_ONCE):
        part = several[first : first + _FACES_AT_ONCE]
        dropped[part] = _outliers(candidates.color[part].astype(np.float32), valid[part])
    return dropped


def _spread(color: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the colours of a face are so far apart that one can be an outlier, [F]."""
    low = np.where(valid[..., None], color, np.uint8(255)).min(axis=1)
    high = np.where(valid[..., None], color, np.uint8(0)).max(axis=1)
    apart = high.astype(np.float32) - low
    return np.asarray((apart**2).sum(axis=1) > _FARTHEST * _NOISE**2)


def _outliers(color: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Outliers among colours [F, K, 3]."""
    masked = np.where(valid[..., None], color, np.nan)
    away = ((color - np.nanmedian(masked, axis=1, keepdims=True)) ** 2).sum(axis=2)
    away[~valid] = np.inf
    half = np.sort(away, axis=1)
    middle = (valid.sum(axis=1) + 1) // 2
    inlier = valid & (away <= half[np.arange(len(half)), middle - 1][:, None])
    for _ in range(_ROUNDS):
        closer = valid & (_distances(color, inlier) <= _FARTHEST)
        closer |= inlier & (away <= half[:, :1])
        if (closer == inlier).all():
            break
        inlier = closer
    out = valid & ~inlier
    too_many = 2 * out.sum(axis=1) >= valid.sum(axis=1)
    out[too_many] = False
    return out


def _distances(color: NDArray[np.float32], inlier: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Squared Mahalanobis distances [F, K] to the Gaussian of each face's inliers."""
    count = np.maximum(inlier.sum(axis=1), 1).astype(np.float32)
    weight = inlier.astype(np.float32)[..., None]
    mean = (color * weight).sum(axis=1) / count[:, None]
    apart = color - mean[:, None]
    covariance = np.einsum("fki,fkj->fij", apart * weight, apart) / count[:, None, None]
    covariance += np.eye(3, dtype=np.float32) * np.float32(_NOISE**2)
    inverse = np.linalg.inv(covariance)
    return np.asarray(np.einsum("fki,fij,fkj->fk", apart, inverse, apart, optimize=True))
