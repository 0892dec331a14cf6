"""How a scene was filmed: from around it, past it in parallel views, or from within it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.triangles import FloatArray
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

_AIM_DEG = 30.0  # a camera that looks at a point has it within this angle of its axis
_AIMING_SHARE = 0.7  # of the cameras, for them to be about one object
_NEAREST = 0.5  # region radii; what stands nearer is within the scene, not before it
_AS_FAR = 2.0  # times the median distance, or that part of it, at which one object is filmed
_PARALLEL = 0.5  # of the turn with which cameras would all look at the middle
_LEAST_TURN_DEG = 5.0
_FLAT = 0.25  # least width of a grid of cameras, relative to its length and depth


class Manner(Enum):
    """The relation of the cameras to what they show."""

    AROUND = auto()  # they look at the middle of the region, from outside
    FACING = auto()  # a grid of them looks one way: a flight over land, rows along a wall
    WITHIN = auto()  # they look in different directions or at different parts: a room, a street


@dataclass(frozen=True)
class Cameras:
    """The cameras of a capture.

    Attributes:
        world_from_cam: [N, 4, 4], rigid, COLMAP's axes; or from another frame's point of view.
        tangents: [N] half the longer side of each picture at depth 1.
        names: What a person calls each picture.
    """

    world_from_cam: FloatArray
    tangents: FloatArray
    names: tuple[str, ...]

    @classmethod
    def of(cls, frames: Sequence[Frame], names: Sequence[str]) -> Cameras:
        """Cameras of posed images."""
        poses = np.stack([frame.world_from_cam for frame in frames])
        lenses = [frame.intrinsics for frame in frames]
        tangents = [max(lens.width / lens.fl_x, lens.height / lens.fl_y) / 2 for lens in lenses]
        return cls(poses, np.array(tangents), tuple(names))

    @property
    def eyes(self) -> FloatArray:
        """Where they stand, [N, 3]."""
        return self.world_from_cam[:, :3, 3]

    @property
    def axes(self) -> FloatArray:
        """Where they look, [N, 3] of length 1."""
        return self.world_from_cam[:, :3, 2]

    def moved(self, rotation: FloatArray, origin: FloatArray, scale: float) -> Cameras:
        """The same cameras in coordinates `rotation @ (world - origin) / scale`."""
        poses = self.world_from_cam.copy()
        poses[:, :3, :3] = rotation @ poses[:, :3, :3]
        poses[:, :3, 3] = (self.eyes - origin) @ rotation.T / scale
        return replace(self, world_from_cam=poses)


@dataclass(frozen=True)
class Arc:
    """The azimuths that cameras stand at, as one stretch; radians.

    Attributes:
        middle: The direction to call the front.
        width: From one end to the other; 2 π for a closed round.
    """

    middle: float
    width: float

    @property
    def is_closed(self) -> bool:
        """Whether the cameras go all around."""
        return self.width >= 2 * np.pi


def manner_of(cameras: Cameras, region: Region) -> Manner:
    """Tell how a scene was filmed.

    Args:
        cameras: World frame.
    """
    eyes = region.unit_from_world(cameras.eyes)
    distance = np.linalg.norm(eyes, axis=1).clip(1e-9)
    to_center = -eyes / distance[:, None]
    turn = np.degrees(_spread(to_center))
    if turn > _LEAST_TURN_DEG and np.degrees(_spread(cameras.axes)) < _PARALLEL * turn:
        return Manner.FACING if _is_grid(eyes, cameras.axes) else Manner.WITHIN
    aims = (to_center * cameras.axes).sum(axis=1) > np.cos(np.radians(_AIM_DEG))
    typical = np.median(distance)
    alike = (distance > max(_NEAREST, typical / _AS_FAR)) & (distance < typical * _AS_FAR)
    return Manner.AROUND if (aims & alike).mean() >= _AIMING_SHARE else Manner.WITHIN


def is_circled(cameras: Cameras, region: Region, up: FloatArray) -> bool:
    """Whether cameras look at the region's middle from all around it.

    Args:
        up: [3], world frame.
    """
    if manner_of(cameras, region) is not Manner.AROUND:
        return False
    z = up / np.linalg.norm(up)
    x = np.cross(z, np.eye(3)[np.argmin(np.abs(z))])
    x /= np.linalg.norm(x)
    eyes = (cameras.eyes - np.asarray(region.center)) @ np.stack([x, np.cross(z, x), z]).T
    return arc_of(eyes).is_closed


def _spread(directions: FloatArray) -> float:
    """Median angle between directions [N, 3] and their mean, radians."""
    mean = directions.mean(axis=0)
    cosines = directions @ mean / max(float(np.linalg.norm(mean)), 1e-9)
    return float(np.median(np.arccos(np.clip(cosines, -1, 1))))


def _is_grid(eyes: FloatArray, axes: FloatArray) -> bool:
    """Whether cameras that look one way are spread in both directions across it, not ahead."""
    forward = axes.mean(axis=0) / np.linalg.norm(axes.mean(axis=0))
    around = eyes - eyes.mean(axis=0)
    ahead = around @ forward
    across = np.linalg.svd(around - np.outer(ahead, forward), compute_uv=False)
    return bool(across[1] > _FLAT * max(across[0], np.linalg.norm(ahead)))


def arc_of(eyes: FloatArray) -> Arc:
    """The stretch of azimuths at which cameras stand, seen from the origin.

    A round is closed where no gap is much wider than the steps of a sparse round of photos. Its
    front is the side that most cameras look at; where none stands out, that of the first.

    Args:
        eyes: [N, 3], z up.
    """
    azimuths = np.arctan2(eyes[:, 1], eyes[:, 0])
    ordered = np.sort(azimuths)
    gaps = np.diff(ordered, append=ordered[0] + 2 * np.pi)
    widest = int(np.argmax(gaps))
    if gaps[widest] < _OPEN_RAD:
        return Arc(_busiest(azimuths), 2 * np.pi)
    width = 2 * np.pi - float(gaps[widest])
    start = float(ordered[(widest + 1) % len(ordered)])
    return Arc(start + width / 2, width)


_OPEN_RAD = np.radians(80.0)
_CONCENTRATION = 8.0  # of the von Mises density: about 20° wide
_STANDS_OUT = 1.5  # times the mean density


def _busiest(azimuths: NDArray[np.floating]) -> float:
    """The azimuth of the densest cameras; the first camera's where they are spread evenly."""
    density = np.exp(_CONCENTRATION * (np.cos(azimuths[:, None] - azimuths) - 1)).sum(axis=1)
    around = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    everywhere = np.exp(_CONCENTRATION * (np.cos(around[:, None] - azimuths) - 1)).sum(axis=1)
    if density.max() < _STANDS_OUT * everywhere.mean():
        return float(azimuths[0])
    return float(azimuths[np.argmax(density)])
