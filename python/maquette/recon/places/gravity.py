"""Which way is up, from the surest witness that there is.

`UP=`, then a georeference, then the angles of a drone's camera, then the ground below cameras that
look down. Where none of them speaks, the cameras do (`maquette.scene.upright`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from maquette.errors import ConfigError
from maquette.recon.places import ground
from maquette.recon.places.vendor_data import VendorData

Floats = NDArray[np.float64]
Witness = Literal["UP", "georeference", "gimbal", "ground", "cameras"]
_AXES = {"x": 0, "y": 1, "z": 2}
_LEAST_PHOTOS, _AGREEING_DEG = 3, 5.0
LARGEST_NADIR_DEG = 20.0  # between the usual optical axis and straight down, of a flight over land
_PARALLEL, _TURNING = np.cos(np.radians(20.0)), 0.5  # lengths of mean directions


@dataclass(frozen=True)
class Up:
    """The direction [3] of length 1, world frame, and who says so; None: the cameras."""

    direction: Floats | None
    witness: Witness


def parse(text: str) -> Floats | None:
    """The direction that `UP` means: `-y`, `0,-1,0.1`; None for `auto`.

    Raises:
        ConfigError: it is none of these.
    """
    wanted = text.strip().lower()
    if wanted in ("", "auto"):
        return None
    if axis := re.fullmatch(r"([+-]?)([xyz])", wanted):
        direction = np.zeros(3)
        direction[_AXES[axis[2]]] = -1.0 if axis[1] == "-" else 1.0
        return direction
    try:
        direction = np.array([float(part) for part in re.split(r"[,\s]+", wanted)])
    except ValueError:
        direction = np.zeros(0)
    length = float(np.linalg.norm(direction))
    if direction.shape != (3,) or not np.isfinite(length) or length < 1e-9:
        raise ConfigError(
            f"UP={text} is no direction",
            hint="UP=auto, an axis of COLMAP's world such as UP=-y, or UP=0,-1,0.1",
        )
    return np.asarray(direction / length)


def from_gimbal(world_from_cam: Floats, vendors: Sequence[VendorData]) -> Floats | None:
    """Up by the angles that a drone writes, [3]; None where they are few or disagree.

    Args:
        world_from_cam: [N, 4, 4], COLMAP's camera axes (z forward).

    A camera at pitch θ and roll φ sees the Earth's pull along (sin φ cos θ, cos φ cos θ, -sin θ).
    """
    pulls = []
    for pose, vendor in zip(world_from_cam, vendors, strict=True):
        if vendor.pitch is not None:
            pitch, roll = np.radians(vendor.pitch), np.radians(vendor.roll or 0.0)
            level = np.cos(pitch)
            pull = np.array([np.sin(roll) * level, np.cos(roll) * level, -np.sin(pitch)])
            pulls.append(pose[:3, :3] @ pull)
    if len(pulls) < _LEAST_PHOTOS:
        return None
    down = np.median(pulls, axis=0)
    down /= max(float(np.linalg.norm(down)), 1e-12)
    angles = np.degrees(np.arccos(np.clip(np.array(pulls) @ down, -1, 1)))
    return np.asarray(-down) if np.median(angles) <= _AGREEING_DEG else None


def from_ground(world_from_cam: Floats, points: Floats) -> Floats | None:
    """Up by the ground below cameras that look down, [3]; None where they do not.

    They look alike while their tops turn, as on a flight to and fro; held level they would not.
    """
    axis, top = world_from_cam[:, :3, 2].mean(axis=0), world_from_cam[:, :3, 1].mean(axis=0)
    if np.linalg.norm(axis) < _PARALLEL or np.linalg.norm(top) > _TURNING:
        return None
    against = -axis / np.linalg.norm(axis)
    found = ground.find(points, world_from_cam[:, :3, 3], against)
    return np.asarray(against) if found is None else found.up


def nadir_angle_deg(world_from_cam: Floats, up: Floats) -> float:
    """The usual angle between the optical axis and straight down, degrees."""
    cosine = np.clip(world_from_cam[:, :3, 2] @ -up, -1, 1)
    return float(np.degrees(np.median(np.arccos(cosine))))
