"""Signs that pictures can not give what is wanted: a camera that only turns, or what stands still.

Both are told from the matches, before any pose is looked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maquette.recon.sfm import colmap
from maquette.recon.sfm.colmap import pycolmap

_MIN_PAIRS = 3
_STILL_PX = 1.0
_STILL_SHARE = 0.3  # of a pair's matches; captures that move: below 0.02 in our renders
_PAIRS = 400  # evenly chosen, where there are more
# Largest over smallest singular value, less 1, of what would be a rotation. Renders of a camera
# that turns on the spot: 0.005 for nine of ten pairs; of captures that move: 0.27 and more.
_TURNED = 0.01
_FOCALS = np.geomspace(0.3, 5.0, 60)  # of the longer side


@dataclass(frozen=True)
class Motion:
    """What the verified matches of a set say.

    Attributes:
        still: Median share of a pair's matches that lie at the same place in both pictures.
        turning: Of nine of ten pairs at most: how far their homography is from a rotation's.
        focal_px: The focal length with which it is nearest to one.
    """

    pairs: int
    still: float
    turning: float
    focal_px: float

    @property
    def stands_still(self) -> bool:
        """Whether most of what is matched does not move."""
        return self.pairs >= _MIN_PAIRS and self.still > _STILL_SHARE

    @property
    def only_turns(self) -> bool:
        """Whether a turn on the spot explains all pairs."""
        return self.pairs >= _MIN_PAIRS and not self.stands_still and self.turning < _TURNED


def motion(database: Path) -> Motion:
    """Look at the verified pairs of a database of pictures of one size.

    Source of the test: a camera that turns by R maps its pictures by K R K⁻¹ (Hartley and
    Zisserman, Multiple View Geometry, 8.4.2), whose singular values without K are all alike.
    """
    with colmap.opened(database) as handle:
        cameras = handle.read_all_cameras()
        if len({(camera.width, camera.height) for camera in cameras}) != 1:
            return Motion(0, 0.0, np.inf, 0.0)
        ids, geometries = handle.read_two_view_geometries()
        found = [
            (number, geometry)
            for number, geometry in zip(ids, geometries, strict=True)
            if len(geometry.inlier_matches)
        ]
        found = found[:: max(1, len(found) // _PAIRS)]
        still = [_still(handle, number) for number, _ in found]
        homographies = [np.asarray(g.H) for _, g in found if g.H is not None]
    width, height = cameras[0].width, cameras[0].height
    turning, focal = np.inf, 0.0
    if homographies and len(homographies) == len(found):
        turning, focal = _turning(np.stack(homographies), width, height)
    return Motion(len(found), float(np.median(still)) if still else 0.0, turning, focal)


def _still(handle: pycolmap.Database, pair: int) -> float:
    one, other = pycolmap.pair_id_to_image_pair(pair)
    matches = np.asarray(handle.read_matches(one, other))
    if not len(matches):
        return 0.0
    here = np.asarray(handle.read_keypoints(one))[matches[:, 0], :2]
    there = np.asarray(handle.read_keypoints(other))[matches[:, 1], :2]
    return float((np.linalg.norm(here - there, axis=1) < _STILL_PX).mean())


def _turning(homographies: NDArray[np.float64], width: int, height: int) -> tuple[float, float]:
    """How far homographies [N, 3, 3] are from rotations, with the focal length that fits best."""
    best = (np.inf, 0.0)
    for focal in _FOCALS * max(width, height):
        camera = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        values = np.linalg.svd(np.linalg.inv(camera) @ homographies @ camera, compute_uv=False)
        ratio = values[:, 0] / np.maximum(values[:, 2], 1e-12) - 1
        best = min(best, (float(np.quantile(ratio, 0.9)), float(focal)))
    return best
