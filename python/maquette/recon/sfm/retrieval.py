"""Global descriptors of pictures from their SIFT features: who looks like whom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2, vq

from maquette.recon.sfm import colmap
from maquette.recon.sfm.features import strongest

Floats = NDArray[np.float32]

_WORDS = 32
_PER_IMAGE = 1000
_LEARN_FROM = 20_000


def global_descriptors(database: Path, names: list[str], seed: int) -> Floats:
    """Describe each picture by one unit vector, [N, 32 · 128].

    Source: Jégou et al., "Aggregating local descriptors into a compact image representation",
    CVPR 2010 (VLAD), with the square-root normalisation of the 2012 journal version; differs:
    the 32 words are learned from these very pictures, so no vocabulary is downloaded.
    """
    local = [_strongest(database, name) for name in names]
    rng = np.random.default_rng(seed)
    pool = np.concatenate(local)
    sample = pool[rng.permutation(len(pool))[:_LEARN_FROM]]
    words = min(_WORDS, len(sample))
    centres, _ = kmeans2(sample, words, iter=8, minit="points", rng=rng)
    return np.stack([vlad(descriptors, centres.astype(np.float32)) for descriptors in local])


def vlad(local: Floats, centres: Floats) -> Floats:
    """Residuals of `local` [M, D] to their nearest `centres` [K, D], summed; unit [K · D]."""
    sums = np.zeros_like(centres)
    if len(local):
        nearest, _ = vq(local, centres)
        np.add.at(sums, nearest, local - centres[nearest])
    rooted = np.sign(sums) * np.sqrt(np.abs(sums))
    flat = rooted.ravel()
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-12), dtype=np.float32)


def _strongest(database: Path, name: str) -> Floats:
    """The descriptors of the largest features, which are seen again most surely."""
    with colmap.opened(database) as handle:
        image = handle.read_image_with_name(name)
        keypoints = handle.read_keypoints(image.image_id)
        data = np.asarray(handle.read_descriptors(image.image_id).data, dtype=np.float32)
    if len(data) == 0:
        return np.zeros((0, 128), dtype=np.float32)
    return data[strongest(np.asarray(keypoints), _PER_IMAGE)]
