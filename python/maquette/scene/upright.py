"""Which way is up: COLMAP's world has no up of its own, so it is told, or seen from the cameras.

Prepare finds out (stage `georeference`) and writes it into `transforms.json`; every reader asks
here, so that files, pictures, pages and the film stand alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maquette.scene.transforms import Frame

FloatArray = NDArray[np.float64]
_COLMAP_UP = np.array([0.0, -1.0, 0.0])


def up_direction(frames: Sequence[Frame], told: FloatArray | None = None) -> FloatArray:
    """The up direction, [3] of length 1, world frame.

    Args:
        told: What `transforms.json` says (`Transforms.up`): it counts. Without it the cameras do.

    People hold a camera level: its x axis is horizontal. So up is the direction most
    perpendicular to all x axes, on the side where the pictures' tops are. When the x axes point
    too much alike to tell, or disagree with the tops, the mean direction of the tops (the
    cameras' −y) is used, and without that COLMAP's −y.
    """
    if told is not None:
        return np.asarray(told / np.linalg.norm(told))
    poses = np.stack([frame.world_from_cam for frame in frames])  # [N, 4, 4]
    tops = -poses[:, :3, 1].mean(axis=0)
    if np.linalg.norm(tops) < 0.1:
        return _COLMAP_UP
    tops /= np.linalg.norm(tops)
    _, spread, axes = np.linalg.svd(poses[:, :3, 0])
    level = axes[2] * np.sign(axes[2] @ tops)
    told_apart = len(frames) >= 3 and spread[1] > 0.2 * spread[0] and spread[2] < 0.5 * spread[1]
    up: FloatArray = level if told_apart and level @ tops > 0.5 else tops
    return up
