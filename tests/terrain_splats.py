"""Splats that lie on a surface whose heights are known, in a world that is turned and scaled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from maquette.recon.aerial.map_frame import MapFrame, map_frame
from maquette.recon.splats.gaussians import SH_C0, Gaussians
from maquette.recon.splats.turning import quaternion_of
from maquette.scene.geodesy import Utm
from maquette.scene.georeference import Georeference, Place
from maquette.scene.transforms import Frame, Intrinsics

Floats = NDArray[np.float64]
ORIGIN = np.array([46.8426, -91.9944, 198.6])
METRES_PER_UNIT = 5.0


def place() -> Place:
    """A world turned about all axes, 5 m a unit."""
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    matrix = np.eye(4)
    matrix[:3, :3] = METRES_PER_UNIT * turn
    matrix[:3, 3] = [3.0, -2.0, 1.0]
    found = Georeference(Utm.of(*ORIGIN[:2]), ORIGIN, matrix)
    return Place(found.up, METRES_PER_UNIT, found)


def frame() -> MapFrame:
    """The map of that world."""
    return map_frame(place(), place().up)


def sheet(
    height: Callable[[Floats, Floats], Floats], color: Callable[[Floats, Floats], Floats],
    half_m: float = 6.0, step_m: float = 0.25,
) -> Gaussians:  # fmt: skip
    """One flat, opaque Gaussian at each place of a lattice about the map's origin."""
    axis = np.arange(-half_m, half_m + step_m / 2, step_m)
    x, y = (values.ravel() for values in np.meshgrid(axis, axis))
    means = frame().world(np.stack([x, y, height(x, y)], axis=1))
    count = len(x)
    deviations = np.array([0.6 * step_m, 0.6 * step_m, 0.02 * step_m]) / METRES_PER_UNIT
    return Gaussians(
        torch.from_numpy(means).float(),
        torch.from_numpy(np.log(deviations)).float().repeat(count, 1),
        quaternion_of(frame().axes.T).repeat(count, 1),
        torch.full((count,), 6.0),
        torch.from_numpy((color(x, y) - 0.5) / SH_C0).float()[:, None],
    )


def looking_down(name: str, x: float, y: float, above: float, tilt_deg: float = 0.0) -> Frame:
    """A camera over a place of the map that looks down, or so much towards the east."""
    axes, tilt = frame().axes, np.radians(tilt_deg)
    ahead = np.sin(tilt) * axes[0] - np.cos(tilt) * axes[2]
    right = np.cos(tilt) * axes[0] + np.sin(tilt) * axes[2]
    pose = np.eye(4)
    pose[:3] = np.column_stack(
        [right, np.cross(ahead, right), ahead, frame().world(np.array([x, y, above]))]
    )
    return Frame(name, pose, Intrinsics(96, 72, 50.0, 50.0, 48.0, 36.0))
