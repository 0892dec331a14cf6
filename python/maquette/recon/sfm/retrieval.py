"""Global descriptors of pictures from their SIFT features: who looks like whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2, vq

from maquette.recon.sfm import colmap
from maquette.recon.sfm.features import strongest

Floats = NDArray[np.float32]

_WORDS = 32
_PER_IMAGE = 1000
_LEARN_FROM = 20_000
_SIZE = 128  # of SIFT's descriptor


def global_descriptors(database: Path, names: list[str], seed: int) -> Floats:
    """Describe each picture by one unit vector, [N, 32 · 128].

    Pictures are read one by one, twice: the words come from some features of all of them.

    Source: Jégou et al., "Aggregating local descriptors into a compact image representation",
    CVPR 2010 (VLAD), with the square-root normalisation of the 2012 journal version; differs:
    the 32 words are learned from these very pictures, so no vocabulary is downloaded.
    """
    with colmap.opened(database) as handle:
        known = {image.name: image.image_id for image in handle.read_all_images()}
        ids = [known[name] for name in names]
        rng = np.random.default_rng(seed)
        sample = _sample(handle, ids, rng)
        words = min(_WORDS, len(sample))
        centres, _ = kmeans2(sample, words, iter=8, minit="points", rng=rng)
        centres = centres.astype(np.float32)
        return np.stack([vlad(_strongest(handle, number), centres) for number in ids])


def vlad(local: Floats, centres: Floats) -> Floats:
    """Residuals of `local` [M, D] to their nearest `centres` [K, D], summed; unit [K · D]."""
    sums = np.zeros_like(centres)
    if len(local):
        nearest, _ = vq(local, centres)
        np.add.at(sums, nearest, local - centres[nearest])
    rooted = np.sign(sums) * np.sqrt(np.abs(sums))
    flat = rooted.ravel()
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-12), dtype=np.float32)


def _sample(handle: Any, ids: list[int], rng: np.random.Generator) -> Floats:
    """Features of all pictures, evenly at random, [at most 20,000, 128]."""
    counts = [min(_PER_IMAGE, handle.num_descriptors_for_image(number)) for number in ids]
    ends = np.cumsum([0, *counts])
    chosen = rng.permutation(int(ends[-1]))[:_LEARN_FROM]
    sample = np.zeros((len(chosen), _SIZE), np.float32)
    for place, number in enumerate(ids):
        wanted = np.nonzero((chosen >= ends[place]) & (chosen < ends[place + 1]))[0]
        if len(wanted):
            sample[wanted] = _strongest(handle, number)[chosen[wanted] - ends[place]]
    return sample


def _strongest(handle: Any, image_id: int) -> Floats:
    """The descriptors of the largest features, which are seen again most surely."""
    keypoints = handle.read_keypoints(image_id)
    data = np.asarray(handle.read_descriptors(image_id).data)
    if len(data) == 0:
        return np.zeros((0, _SIZE), dtype=np.float32)
    return data[strongest(np.asarray(keypoints), _PER_IMAGE)].astype(np.float32)
