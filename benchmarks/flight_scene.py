"""A rendered drone flight over known terrain: hills, houses, trees, a road; photos with GPS.

Frame: east, north and up in metres of `ORIGIN`. The terrain is a height for each place, so its
true elevation and its true ortho photo are known at every point. Light does not come from a place:
colours are painted on, with a shade by slope.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import warp as wp
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from maquette.scene import geodesy

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from flights import ORIGIN
from geotagging import XMP, write_photo

Floats = NDArray[np.float64]
CELL_M, REACH_M = 0.06, 84.0
HEIGHT_M = 40.0  # of the flight above the middle of the terrain
WIDTH, HEIGHT, FOCAL_PX = 640, 480, 470.0
_SAMPLES = 3  # along a side of a pixel
_STEP_M = 0.06
_TOP_M, _BOTTOM_M = 14.0, -8.0


@dataclass(frozen=True)
class Terrain:
    """Heights [N, N] and colours [N, N, 3] of square cells; rows go north, columns east."""

    heights: NDArray[np.float32]
    colors: NDArray[np.float32]

    def elevation(self, east: Floats, north: Floats) -> Floats:
        """Height above `ORIGIN` of places, metres."""
        return np.asarray(self._at(self.heights, east, north))

    def ortho(self, east: Floats, north: Floats) -> Floats:
        """What is seen from straight above, [..., 3] sRGB 0..1."""
        planes = [self._at(self.colors[..., k], east, north) for k in range(3)]
        return np.stack(planes, axis=-1)

    def _at(self, values: NDArray[np.float32], east: Floats, north: Floats) -> Floats:
        places = [(north + REACH_M) / CELL_M - 0.5, (east + REACH_M) / CELL_M - 0.5]
        found: Floats = map_coordinates(values, places, order=1, mode="nearest")
        return found

    def averaged(self, width_m: float) -> Terrain:
        """Colours as pixels of a width see them."""
        sigma = [0.4 * width_m / CELL_M] * 2 + [0]
        return replace(self, colors=gaussian_filter(self.colors, sigma).astype(np.float32))


@dataclass(frozen=True)
class Shot:
    """One photo: enu_from_cam [4, 4], COLMAP's camera axes."""

    name: str
    enu_from_cam: Floats


def terrain(seed: int = 3) -> Terrain:
    """The same terrain each time."""
    random = np.random.default_rng(seed)
    count = round(2 * REACH_M / CELL_M)
    axis = (np.arange(count) + 0.5) * CELL_M - REACH_M
    east, north = np.meshgrid(axis, axis)
    hills = 2.2 * np.sin(east / 19 + 1) * np.cos(north / 23) + 1.1 * np.sin((east + north) / 11)
    grain = _noise(random, count, (0.25, 0.7, 2.0, 7.0), (0.6, 0.8, 1.0, 1.2))
    patch = _noise(random, count, (9.0, 25.0), (1.0, 1.0))[..., None]
    colors = 0.42 + 0.12 * grain[..., None] * np.array([1.0, 1.0, 0.8])
    colors = colors + 0.07 * patch * np.array([0.9, -0.5, -1.0]) + [-0.06, 0.03, -0.12]
    road = np.abs(north - 12 * np.sin(east / 30)) < 2.5
    colors[road] = (0.5 + 0.08 * grain[road])[:, None]
    colors[np.abs(north - 12 * np.sin(east / 30)) < 0.12] = 0.9
    heights = hills.copy()
    for _ in range(45):
        _grow_tree(random, east, north, hills, heights, colors, grain)
    for _ in range(14):
        _build_house(random, east, north, hills, heights, colors, grain)
    slope = np.gradient(gaussian_filter(heights, 3), CELL_M)
    shade = np.clip(1 + 0.25 * (slope[1] - slope[0]), 0.6, 1.3)
    lit = np.clip(colors * shade[..., None], 0.02, 0.98)
    return Terrain(heights.astype(np.float32), gaussian_filter(lit, (1, 1, 0)).astype(np.float32))


def _noise(
    random: np.random.Generator, count: int, lengths_m: tuple[float, ...], shares: tuple[float, ...]
) -> Floats:
    """Smooth noise of several lengths, each of deviation 1 times its share."""
    found = np.zeros((count, count))
    for length, share in zip(lengths_m, shares, strict=True):
        coarse = random.normal(size=[int(2 * REACH_M / length) + 6] * 2)
        at = np.arange(count) * CELL_M / length + 1.5
        found += share * map_coordinates(coarse, np.meshgrid(at, at, indexing="ij"), order=3)
    return found / float(np.hypot.reduce(shares))


def _grow_tree(
    random: np.random.Generator, east: Floats, north: Floats, hills: Floats, heights: Floats,
    colors: Floats, grain: Floats,
) -> None:  # fmt: skip
    x, y = random.uniform(-65, 65, 2)
    radius, tall = random.uniform(1.2, 2.6), random.uniform(2.5, 5.5)
    away = np.hypot(east - x, north - y) / radius
    inside = away < 1
    crown = tall * (0.45 + 0.55 * np.sqrt(np.maximum(1 - away**2, 0))) + 0.15 * grain
    heights[inside] = np.maximum(heights, hills + crown)[inside]
    green = np.array([0.2, 0.36, 0.14]) * (1 + 0.35 * grain[inside])[:, None]
    colors[inside] = green * random.uniform(0.8, 1.2)


def _build_house(
    random: np.random.Generator, east: Floats, north: Floats, hills: Floats, heights: Floats,
    colors: Floats, grain: Floats,
) -> None:  # fmt: skip
    (x, y), turn = random.uniform(-60, 60, 2), random.uniform(0, np.pi)
    half = random.uniform(4, 7), random.uniform(3, 4.5)
    u = (east - x) * np.cos(turn) + (north - y) * np.sin(turn)
    v = (north - y) * np.cos(turn) - (east - x) * np.sin(turn)
    inside = (np.abs(u) < half[0]) & (np.abs(v) < half[1])
    if not inside.any():
        return
    eaves = hills[inside].mean() + random.uniform(2.8, 4.5)
    heights[inside] = (eaves + 0.6 * (half[1] - np.abs(v)))[inside]
    tiles = 1 - 0.22 * ((np.floor(v / 0.45) + np.floor(u / 0.6)) % 2) + 0.16 * grain
    tint = np.array([0.62, 0.36, 0.28]) * random.uniform(0.7, 1.2, 3)
    colors[inside] = tint * tiles[inside][:, None]


@wp.func
def _height_at(heights: wp.array2d(dtype=wp.float32), x: float, y: float, count: int) -> float:
    i = wp.clamp(int(x), 0, count - 1)
    j = wp.clamp(int(y), 0, count - 1)
    return heights[j, i]


@wp.kernel(enable_backward=False)
def _cast(
    heights: wp.array2d(dtype=wp.float32), colors: wp.array2d(dtype=wp.vec3), pose: wp.mat44,
    count: int, width: int, samples: int, focal: float, middle: wp.vec2, cell: float, reach: float,
    top: float, bottom: float, step: float, picture: wp.array2d(dtype=wp.vec3),
):  # fmt: skip
    row, column = wp.tid()
    total = wp.vec3(0.0, 0.0, 0.0)
    eye = wp.vec3(pose[0, 3], pose[1, 3], pose[2, 3])
    for sample in range(samples * samples):
        u = float(column) + (float(sample % samples) + 0.5) / float(samples)
        v = float(row) + (float(sample / samples) + 0.5) / float(samples)
        local = wp.vec4((u - middle[0]) / focal, (v - middle[1]) / focal, 1.0, 0.0)
        turned = pose * local
        ray = wp.vec3(turned[0], turned[1], turned[2])
        ray = ray / wp.length(ray)
        t = wp.float32(0.0)
        if ray[2] < -0.05:
            t = wp.max(0.0, (top - eye[2]) / ray[2])
        low = wp.float32(0.0)
        x, y, z = wp.float32(0.0), wp.float32(0.0), wp.float32(0.0)
        for _ in range(4000):
            x = (eye[0] + t * ray[0] + reach) / cell
            y = (eye[1] + t * ray[1] + reach) / cell
            z = eye[2] + t * ray[2]
            low = _height_at(heights, x, y, count)
            if z <= low or z < bottom:
                break
            t += wp.max(step, 0.15 * (z - top))
        for k in range(6):  # half the last step, again and again
            t += wp.where(z <= low, -1.0, 1.0) * step * wp.pow(0.5, float(k + 1))
            x = (eye[0] + t * ray[0] + reach) / cell
            y = (eye[1] + t * ray[1] + reach) / cell
            z = eye[2] + t * ray[2]
            low = _height_at(heights, x, y, count)
        i = wp.clamp(int(x), 0, count - 1)
        j = wp.clamp(int(y), 0, count - 1)
        color = colors[j, i]
        below = low - z
        if below > 0.3:  # a wall
            stripe = wp.mod(wp.floor(z * 2.5) + wp.floor((x + y) * cell * 1.7), 3.0)
            color = wp.vec3(0.55, 0.52, 0.47) * (0.75 + 0.2 * stripe)
        total += color
    picture[row, column] = total / float(samples * samples)


def render(ground: Terrain, shot: Shot) -> NDArray[np.uint8]:
    """The photo, [480, 640, 3]."""
    picture = wp.zeros((HEIGHT, WIDTH), dtype=wp.vec3, device="cpu")
    pose = wp.mat44(*shot.enu_from_cam.astype(np.float32).ravel().tolist())
    wp.launch(
        _cast, (HEIGHT, WIDTH), device="cpu",
        inputs=[wp.array(ground.heights, device="cpu"),
                wp.array(ground.colors, dtype=wp.vec3, device="cpu"), pose, len(ground.heights),
                WIDTH, _SAMPLES, FOCAL_PX, wp.vec2(WIDTH / 2, HEIGHT / 2), CELL_M, REACH_M,
                _TOP_M, _BOTTOM_M, _STEP_M, picture],
    )  # fmt: skip
    return np.round(picture.numpy() * 255).astype(np.uint8)


def looking(place: Floats, pitch_deg: float, heading_deg: float) -> Floats:
    """enu_from_cam [4, 4] of a level camera; -90° looks straight down, heading from north."""
    pitch, heading = np.radians([pitch_deg, heading_deg])
    ahead = np.array([np.sin(heading) * np.cos(pitch), np.cos(heading) * np.cos(pitch),
                      np.sin(pitch)])  # fmt: skip
    right = np.array([np.cos(heading), -np.sin(heading), 0.0])
    pose = np.eye(4)
    pose[:3] = np.column_stack([right, np.cross(ahead, right), ahead, place])
    return pose


def flight() -> list[Shot]:
    """35 photos in five lines to and fro, as steady as a drone."""
    random, shots = np.random.default_rng(8), []
    for line in range(5):
        for step in range(7):
            east, north = 16.0 * (line - 2), 12.0 * (step - 3) * (1 if line % 2 == 0 else -1)
            place = np.array([east, north, HEIGHT_M]) + random.normal(0, [0.6, 0.6, 0.5])
            heading = (0.0 if line % 2 == 0 else 180.0) + random.normal(0, 2)
            pose = looking(place, -90 + random.uniform(-3, 3), heading)
            shots.append(Shot(f"DJI_{len(shots) + 1:04d}.JPG", pose))
    return shots


def low_shots(ground: Terrain) -> list[Shot]:
    """Twelve photos from a quarter and an eighth of the height, which no step is given."""
    random, shots = np.random.default_rng(9), []
    for number in range(12):
        above = HEIGHT_M * (0.25 if number % 2 else 0.125)
        east, north = random.uniform(-22, 22, 2)
        below = max(float(ground.elevation(*np.array([[east], [north]]))[0]), 0.0)
        place = np.array([east, north, below + above])
        pose = looking(place, -90 if number % 3 else -60, random.uniform(0, 360))
        shots.append(Shot(f"low_{number:02d}.png", pose))
    return shots


def write_flight(folder: Path, gps_noise_m: float = 0.0) -> None:
    """Write `photos/`, and `low/` with the pose of each photo as `.npy`."""
    ground, random = terrain(), np.random.default_rng(10)
    for part in ("photos", "low"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for shot in flight():
        place = shot.enu_from_cam[:3, 3] + random.normal(0, 1, 3) * gps_noise_m
        told = geodesy.geodetic_from_enu(place, ORIGIN)
        pitch = np.degrees(np.arcsin(shot.enu_from_cam[2, 2]))
        xmp = XMP.format(relative=f"+{shot.enu_from_cam[2, 3]:.2f}", roll="+0.00", yaw="+0.00",
                         pitch=f"{pitch:.2f}")  # fmt: skip
        latitude, longitude, altitude = map(float, told)
        write_photo(
            folder / "photos" / shot.name, (latitude, longitude, altitude), xmp=xmp,
            picture=Image.fromarray(render(ground, shot)),
        )  # fmt: skip
    for shot in low_shots(ground):
        Image.fromarray(render(ground, shot)).save(folder / "low" / shot.name)
        np.save((folder / "low" / shot.name).with_suffix(".npy"), shot.enu_from_cam)
