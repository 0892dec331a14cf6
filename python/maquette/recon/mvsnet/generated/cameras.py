"""Where the cameras of a generated scene stand: around a point that all of them look at.

The frame is the first camera's: x right, y down, z forward; the nearest depth is about 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_FIRST_DEG, _LAST_DEG = 5.0, 40.0  # angles at which views see the point, from the first one's
_CLOSER = 0.15  # relative change of the distance to it
_AIM = 0.06  # by which cameras look past it, of the distance
_ROLL_DEG = 8.0


def poses_around(target_z: float, count: int, random: np.random.Generator) -> Floats:
    """world_from_cam [N, 4, 4]; the first is the identity, the others look at (0, 0, target_z).

    They see that point from directions that are 5 to 40 degrees from the first one's.
    """
    widest = random.uniform(_FIRST_DEG + 3, _LAST_DEG)
    angles = np.radians(random.uniform(_FIRST_DEG, widest, count))
    turns = np.linspace(0, 2 * np.pi, max(count - 1, 1), endpoint=False)
    azimuths = random.permutation(turns) + random.uniform(0, 2 * np.pi)
    target = np.array([0.0, 0.0, target_z])
    poses = [np.eye(4)]
    for angle, azimuth in zip(angles[1:], azimuths, strict=False):
        sine = np.sin(angle)
        back = np.array([sine * np.cos(azimuth), sine * np.sin(azimuth), -np.cos(angle)])
        center = target + back * target_z * random.uniform(1 - _CLOSER, 1 + _CLOSER)
        aim = target + random.uniform(-_AIM, _AIM, 3) * target_z
        poses.append(_looking(center, aim, np.radians(random.uniform(-_ROLL_DEG, _ROLL_DEG))))
    return np.stack(poses)


def random_rotation(random: np.random.Generator) -> Floats:
    """A rotation [3, 3], uniform over all of them."""
    turn, triangle = np.linalg.qr(random.normal(size=(3, 3)))
    turn = turn * np.sign(np.diag(triangle))
    return np.asarray(turn * np.linalg.det(turn))


def turned(about_y_deg: float, about_x_deg: float) -> Floats:
    """A rotation [3, 3] about y after one about x."""
    (a, b), (c, d) = (
        np.cos(np.radians([about_y_deg, about_x_deg])),
        np.sin(np.radians([about_y_deg, about_x_deg])),
    )
    return np.array([[a, 0, c], [0, 1, 0], [-c, 0, a]]) @ np.array(
        [[1, 0, 0], [0, b, -d], [0, d, b]]
    )


def _looking(center: Floats, aim: Floats, roll: float) -> Floats:
    forward = (aim - center) / np.linalg.norm(aim - center)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    pose = np.eye(4)
    pose[:3, 0] = np.cos(roll) * right + np.sin(roll) * down
    pose[:3, 1] = np.cos(roll) * down - np.sin(roll) * right
    pose[:3, 2], pose[:3, 3] = forward, center
    return pose
