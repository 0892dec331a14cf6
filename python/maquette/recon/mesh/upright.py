"""Which way is up: COLMAP's world has no up of its own, so it is told by the cameras."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maquette.recon.mesh.triangles import FloatArray
from maquette.scene.transforms import Frame

_COLMAP_UP = np.array([0.0, -1.0, 0.0])


def up_direction(frames: Sequence[Frame]) -> FloatArray:
    """Estimate the up direction, [3] of length 1, world frame.

    People hold a camera level: its x axis is horizontal. So up is the direction most
    perpendicular to all x axes, on the side where the pictures' tops are. When the x axes point
    too much alike to tell, or disagree with the tops, the mean direction of the tops (the
    cameras' −y) is used, and without that COLMAP's −y.
    """
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


def rotation_between(start: FloatArray, end: FloatArray) -> FloatArray:
    """The smallest rotation [3, 3] that turns unit vector `start` into `end`."""
    cosine = float(start @ end)
    if cosine < -1 + 1e-12:  # opposite: half a turn about any perpendicular axis
        axis = np.cross(start, np.eye(3)[np.argmin(np.abs(start))])
        axis /= np.linalg.norm(axis)
        return 2 * np.outer(axis, axis) - np.eye(3)
    x, y, z = np.cross(start, end)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation: FloatArray = np.eye(3) + cross + cross @ cross / (1 + cosine)
    return rotation
