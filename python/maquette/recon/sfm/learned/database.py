"""Learned features and matches in a COLMAP database, beside the SIFT features that it has.

A picture keeps its SIFT features and their matches, and gets the learned ones behind them: what
SIFT found stays as exact as it was, and what it could not match gets other evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maquette.recon.sfm import colmap
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.matching import MIN_INLIERS
from maquette.recon.sfm.pairs import Pair

Matches = dict[Pair, NDArray[np.uint32]]
Places = NDArray[np.float32]


def add(
    database: Path, names: Sequence[str], found: Sequence[Places], matches: Matches, seed: int
) -> None:
    """Add features and matches to a database, and verify the pairs that got any.

    Args:
        found: Of each picture of `names`, [N, 2] (x, y; the first pixel's middle is 0).
    """
    with colmap.opened(database) as handle:
        ids = {image.name: image.image_id for image in handle.read_all_images()}
        before = [_append(handle, ids[name], one) for name, one in zip(names, found, strict=True)]
        for (i, j), pair in matches.items():
            one, other = ids[names[i]], ids[names[j]]
            pair = pair + np.array([before[i], before[j]], np.uint32)
            if handle.exists_matches(one, other):
                pair = np.concatenate([handle.read_matches(one, other), pair])
                handle.delete_matches(one, other)
            if handle.exists_two_view_geometry(one, other):
                handle.delete_two_view_geometry(one, other)
            handle.write_matches(one, other, pair)
    verify(database, [(names[i], names[j]) for i, j in matches], seed)


def is_in(database: Path) -> bool:
    """Whether a database has learned features, which carry no descriptor."""
    with colmap.opened(database) as handle:
        return bool(handle.num_keypoints() > handle.num_descriptors())


def verify_again(database: Path, seed: int) -> None:
    """Verify all matches of a database anew: its cameras were changed."""
    with colmap.opened(database) as handle:
        names = {image.image_id: image.name for image in handle.read_all_images()}
        numbers = handle.read_num_matches()[0]
        handle.clear_two_view_geometries()
    named = [tuple(names[one] for one in pycolmap.pair_id_to_image_pair(pair)) for pair in numbers]
    verify(database, named, seed)


def verify(database: Path, named: Sequence[tuple[str, str]], seed: int) -> None:
    """Find which matches of pairs of pictures agree with one geometry."""
    options = pycolmap.TwoViewGeometryOptions()
    options.ransac.random_seed = seed
    options.min_num_inliers = MIN_INLIERS
    with TemporaryDirectory(prefix="maquette-pairs-") as place:
        listing = Path(place) / "pairs.txt"
        listing.write_text("".join(f"{one} {other}\n" for one, other in named), encoding="utf-8")
        pycolmap.verify_matches(database, listing, options)


def _append(handle: Any, image_id: int, found: Places) -> int:
    """Put keypoints behind those that a picture has, and tell how many these were."""
    there = np.asarray(handle.read_keypoints(image_id), np.float32)
    new = np.zeros((len(found), there.shape[1]), np.float32)
    new[:, :2] = found + 0.5  # COLMAP: the first pixel's middle is 0.5
    new[:, 2] = 1.0
    if new.shape[1] == 6:
        new[:, 5] = 1.0
    handle.update_keypoints(image_id, np.concatenate([there, new]))
    return len(there)
