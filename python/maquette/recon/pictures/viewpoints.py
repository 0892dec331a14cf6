"""From where a result is shown: from where it was filmed.

Frame: stage coordinates (see framing.py), in which the front has azimuth 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.triangles import FloatArray
from maquette.recon.pictures.capture import Arc, Cameras, Manner
from maquette.recon.pictures.rasterise import View

DISTANCE = 5.0  # focus radii, of views that are no camera's own
_ROUND_DEG = (0, 45, 90, 135, 180, 225, 270, 315)
_NEIGHBOURHOOD_DEG = 40.0  # cameras that tell from how high and how far a side was filmed
_ELEVATION_DEG = (0.0, 60.0)
_ROOM = 1.15  # focus radii round the subject that no view cuts away
_LEAST_ARC_DEG = 30.0
_OBLIQUE_DEG = 45.0
_EDGES_DEG = {"bottom": 0.0, "right": 90.0, "top": 180.0, "left": 270.0}  # of most photos
_MOST_PHOTOS = 8
_LOOK = 0.7  # how much the direction of a photo tells it apart, beside its place
_LEAST_SEEN = 0.2  # of what the photo shows that shows most, for one to be worth a picture
_WIDEST = 1.2  # tangent of half the widest view
_MARGIN = 1.15
_MOST_FRAMING_POINTS = 20_000


@dataclass(frozen=True)
class Viewpoint:
    """A camera that a result is shown from.

    Attributes:
        label: Tells the person from where this is.
        rotation: [3, 3], stage from camera.
        eye: [3], stage coordinates.
        near: Depth before which nothing is shown, as no camera was so far away.
        tangent: Half the picture's width at depth 1; 0: what the subject needs.
    """

    label: str
    rotation: FloatArray
    eye: FloatArray
    near: float = 0.0
    tangent: float = 0.0


def choose(manner: Manner, cameras: Cameras, arc: Arc, subject: FloatArray) -> list[Viewpoint]:
    """The views of a capture, its front first.

    Args:
        cameras: Stage coordinates.
        arc: Of the cameras' azimuths; its middle is the stage's azimuth 0.
        subject: [N, 3] points of what is shown, stage coordinates.
    """
    if manner is Manner.WITHIN:
        seen = _share_in_view(cameras, _thinned(subject))
        seeing = np.flatnonzero(seen >= _LEAST_SEEN * seen.max())
        return [_as_photo(cameras, index) for index in _differing(cameras, seeing)]
    if manner is Manner.FACING:
        oblique = [
            Viewpoint(f"oblique, from the {edge}", *_pose(azimuth, _OBLIQUE_DEG))
            for edge, azimuth in _EDGES_DEG.items()
        ]
        return [Viewpoint("as filmed", *_pose(0.0, 90.0)), *oblique]
    return [_beside(cameras, azimuth, arc.is_closed) for azimuth in azimuths_deg(arc)]


def azimuths_deg(arc: Arc) -> Sequence[float]:
    """Azimuths to show of a filmed arc: all around, or across it; the front first."""
    if arc.is_closed:
        return _ROUND_DEG
    width = max(np.degrees(arc.width), _LEAST_ARC_DEG)
    steps = 1 if width <= 80 else 2 if width <= 200 else 3
    sides = np.arange(1, steps + 1) * width / (2 * steps)
    return [0.0, *(-sides[::-1]), *sides]


def views_of(viewpoints: Sequence[Viewpoint], subject: FloatArray, size: int) -> list[View]:
    """Give the viewpoints their zoom: one for all that are no camera's own, just showing all.

    Args:
        subject: [N, 3] points, stage coordinates.
        size: Edge of a picture, pixels.
    """
    shift, tangent = _zoom([one for one in viewpoints if not one.tangent], subject)
    return [
        View(one.rotation, one.eye, one.tangent, 0.0, size, one.near)
        if one.tangent
        else View(one.rotation, one.eye, tangent, shift, size, one.near)
        for one in viewpoints
    ]


def _zoom(viewpoints: Sequence[Viewpoint], subject: FloatArray) -> tuple[float, float]:
    """Vertical shift and tangent with which all of the subject is in each picture."""
    if not viewpoints:
        return 0.0, 1.0
    points = _thinned(subject)
    seen = np.stack([(points - one.eye) @ one.rotation for one in viewpoints])  # [K, N, 3]
    flat = seen[..., :2] / seen[..., 2:]
    low, high = np.percentile(flat, [0.2, 99.8], axis=1)  # [K, 2] each
    shift = 0.5 * float(low[:, 1].min() + high[:, 1].max())
    tangent = max(
        float(np.abs([low[:, 0], high[:, 0]]).max()),
        0.5 * float(high[:, 1].max() - low[:, 1].min()),
    )
    return shift, tangent * _MARGIN


def _thinned(points: FloatArray) -> FloatArray:
    return points[:: max(1, len(points) // _MOST_FRAMING_POINTS)]


def _share_in_view(cameras: Cameras, points: FloatArray) -> NDArray[np.floating]:
    """How much of some points [P, 3] lies within each camera's picture, [N] 0..1."""
    shares = []
    for pose, tangent in zip(cameras.world_from_cam, cameras.tangents, strict=True):
        seen = (points - pose[:3, 3]) @ pose[:3, :3]
        in_picture = (np.abs(seen[:, :2]) < tangent * seen[:, 2:]).all(axis=1)
        shares.append(float(in_picture.mean()))
    return np.array(shares)


def _beside(cameras: Cameras, azimuth_deg: float, is_round: bool) -> Viewpoint:
    """A view of one side, from as high as the cameras there, without what was behind them."""
    eyes = cameras.eyes
    away = np.degrees(np.arctan2(eyes[:, 1], eyes[:, 0])) - azimuth_deg
    near = np.abs((away + 180) % 360 - 180) < _NEIGHBOURHOOD_DEG
    eyes = eyes[near] if near.any() else eyes
    distance = np.linalg.norm(eyes, axis=1)
    elevation = np.degrees(np.arcsin(np.clip(eyes[:, 2] / distance, -1, 1)))
    height = float(np.clip(np.median(elevation), *_ELEVATION_DEG))
    cut = DISTANCE - max(float(np.median(distance)), _ROOM)
    label = _name_of_side(round(azimuth_deg), is_round)
    return Viewpoint(label, *_pose(azimuth_deg, height), max(cut, 0.0))


def _name_of_side(azimuth_deg: int, is_round: bool) -> str:
    if azimuth_deg == 0:
        return "front"
    if is_round:
        return f"{azimuth_deg}°"
    return f"{abs(azimuth_deg)}° {'right' if azimuth_deg > 0 else 'left'}"


def _pose(azimuth_deg: float, elevation_deg: float) -> tuple[FloatArray, FloatArray]:
    """Rotation (stage from camera) and eye of a camera that looks at the origin."""
    azimuth, elevation = np.radians([azimuth_deg, elevation_deg])
    back = np.array(
        [
            np.cos(azimuth) * np.cos(elevation),
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
    )
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    return np.stack([right, np.cross(-back, right), -back], axis=1), DISTANCE * back


def _differing(cameras: Cameras, among: NDArray[np.intp]) -> list[int]:
    """The photos that differ most in place and direction, in the order they were taken."""
    eyes = cameras.eyes[among]
    size = np.linalg.norm(eyes - eyes.mean(axis=0), axis=1).max(initial=1e-9)
    features = np.concatenate([eyes / size, _LOOK * cameras.axes[among]], axis=1)  # [N, 6]
    chosen = [int(np.argmin(np.linalg.norm(features - features.mean(axis=0), axis=1)))]
    distance = np.full(len(eyes), np.inf)
    while len(chosen) < min(_MOST_PHOTOS, len(eyes)):
        distance = np.minimum(distance, _gap(features, chosen[-1]))
        chosen.append(int(np.argmax(distance)))
    return sorted(among[chosen].tolist())


def _gap(features: FloatArray, index: int) -> NDArray[np.floating]:
    return np.asarray(np.linalg.norm(features - features[index], axis=1))


def _as_photo(cameras: Cameras, index: int) -> Viewpoint:
    """What the camera of a photo saw, held level."""
    rotation = cameras.world_from_cam[index, :3, :3]
    forward = rotation[:, 2]
    right = np.array([forward[1], -forward[0], 0.0])
    length = np.linalg.norm(right)
    if length > 0.2:  # else it looks straight up or down, and level means nothing
        right /= length
        rotation = np.stack([right, np.cross(forward, right), forward], axis=1)
    tangent = min(float(cameras.tangents[index]), _WIDEST)
    return Viewpoint(cameras.names[index], rotation, cameras.eyes[index], tangent=tangent)
