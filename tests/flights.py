"""Flights over a known ground with exact truth: a world that COLMAP might have found, and GPS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.recon.places.finding import Cameras
from maquette.recon.places.positions import Position
from maquette.scene import geodesy

Floats = NDArray[np.float64]
ORIGIN = np.array([46.8426, -91.9944, 198.6])  # latitude, longitude, height
METRES_PER_UNIT = 7.25


@dataclass(frozen=True)
class Flight:
    """Cameras in a world of their own and where they are in truth.

    Attributes:
        enu: [N, 3] metres east, north and up of `ORIGIN`.
        world_from_enu: [4, 4].
    """

    cameras: Cameras
    enu: Floats
    world_from_enu: Floats

    def positions(self, noise_m: float = 0.0, seed: int = 0) -> dict[str, Position]:
        """What a GPS with a scatter along each axis tells."""
        scatter = np.random.default_rng(seed).normal(size=self.enu.shape) * noise_m
        return self.told(self.enu + scatter)

    def told(self, enu: Floats) -> dict[str, Position]:
        """Positions at these places, [N, 3]."""
        places = geodesy.geodetic_from_enu(enu, ORIGIN)
        return {
            name: Position(*map(float, place), level="sea")
            for name, place in zip(self.cameras.names, places, strict=True)
        }

    def world(self, enu: Floats) -> Floats:
        """Points east, north and up [..., 3] in the world."""
        return np.asarray(enu @ self.world_from_enu[:3, :3].T + self.world_from_enu[:3, 3])


def fly(rows: int = 6, columns: int = 8, *, pitch_deg: float = -90.0) -> Flight:
    """Lines to and fro, 40 m above level ground, 12 m apart; `rows=1` is a single line."""
    east, north = np.meshgrid(12.0 * np.arange(columns), 12.0 * np.arange(rows))
    height = 40.0 + 1.5 * np.sin(east / 17.0) * (rows > 1)
    enu = np.stack([east.ravel(), north.ravel(), height.ravel()], axis=1)
    enu -= enu.mean(axis=0) * [1, 1, 0]
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    world_from_enu = np.eye(4)
    world_from_enu[:3, :3] = turn / METRES_PER_UNIT
    world_from_enu[:3, 3] = [1.0, -2.0, 0.5]
    poses = np.tile(np.eye(4), (len(enu), 1, 1))
    for number, place in enumerate(enu):
        heading = 0.0 if number // columns % 2 == 0 else np.pi
        poses[number, :3, :3] = turn @ _looking(np.radians(pitch_deg), heading)
        poses[number, :3, 3] = world_from_enu[:3, :3] @ place + world_from_enu[:3, 3]
    random = np.random.default_rng(5)
    ground = np.column_stack([random.uniform(-60, 60, (900, 2)), random.normal(0, 0.1, 900)])
    points = ground @ world_from_enu[:3, :3].T + world_from_enu[:3, 3]
    names = [f"{number + 1:06d}.jpg" for number in range(len(enu))]
    titles = {name: f"DJI_{number:04d}.JPG" for number, name in enumerate(names)}
    return Flight(Cameras(names, titles, poses, points), enu, world_from_enu)


def _looking(pitch: float, heading: float) -> Floats:
    """enu_from_cam [3, 3] of a level camera, x right, y down, z forward; heading from north."""
    forward = np.array(
        [np.sin(heading) * np.cos(pitch), np.cos(heading) * np.cos(pitch), np.sin(pitch)]
    )
    right = np.array([np.cos(heading), -np.sin(heading), 0.0])
    return np.column_stack([right, np.cross(forward, right), forward])
