"""A tiny data set in the layout of DTU's training data: textured planes, with exact depth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maquette.recon.mvs.neighbours import write_pairs
from maquette.recon.mvsnet import pfm
from maquette.recon.mvsnet.datasets import camera_files, dtu
from maquette.recon.mvsnet.datasets.camera_files import Camera

Floats = NDArray[np.float64]
SIZE = (64, 48)  # of the pictures; depth maps have a quarter
NEAR_MM, INTERVAL_MM = 425.0, 2.5
PLANES = {"n_depths": 32, "interval_scale": 6.4}  # that cover DTU's range
_FOCAL = 1.1  # widths of a picture
_BASELINE_MM = 90.0


def write_dtu(
    root: Path, scans: Sequence[int] = (2, 3), views: int = 3, lights: int = 1,
    size: tuple[int, int] = SIZE,
) -> Path:  # fmt: skip
    """Write the data set and return its folder."""
    cameras = [camera_of(view, size) for view in range(views)]
    for view, camera in enumerate(cameras):
        camera_files.write(root / dtu.camera_file(view), camera)
    others = [[(one, 10.0 - one) for one in range(views) if one != view] for view in range(views)]
    write_pairs(root / "Cameras" / "pair.txt", others)
    for scan in scans:
        for view, camera in enumerate(cameras):
            _write_view(root, f"scan{scan}", view, camera, size, lights)
    return root


def camera_of(view: int, size: tuple[int, int]) -> Camera:
    """At a quarter of the pictures' size, all looking the same way but for a little turn."""
    width, height = size
    angle = 0.03 * view
    pose = np.eye(4)
    pose[:3, :3] = [
        [np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]
    ]  # fmt: skip
    offset = _BASELINE_MM * np.array([(view + 1) // 2 * (-1) ** view, view % 2, 0.0])
    pose[:3, 3] = -pose[:3, :3] @ offset
    lens = np.array([[_FOCAL * width, 0, width / 2], [0, _FOCAL * width, height / 2], [0, 0, 1.0]])
    lens[:2] /= 4.0
    return Camera(pose, lens, NEAR_MM, INTERVAL_MM)


def _write_view(
    root: Path, scan: str, view: int, camera: Camera, size: tuple[int, int], lights: int
) -> None:
    depth, texture = render(camera, size, int(scan.removeprefix("scan")))
    for light in range(lights):
        path = root / dtu.picture_file(scan, view, light)
        path.parent.mkdir(parents=True, exist_ok=True)
        brightness = 1.0 - 0.05 * light
        Image.fromarray((texture * brightness * 255).round().astype(np.uint8)).save(path)
    coarse = depth[::4, ::4].astype(np.float32)
    pfm.write(root / dtu.depth_file(scan, view), coarse)
    mask = np.full(coarse.shape, 255, np.uint8)
    mask[0] = 0
    Image.fromarray(mask).save(root / dtu.mask_file(scan, view))


def render(camera: Camera, size: tuple[int, int], seed: int) -> tuple[Floats, Floats]:
    """Depth [H, W] in mm and picture [H, W, 3] in 0..1 of a tilted wall and a board before it.

    Args:
        camera: At a quarter of the picture's size.
    """
    random = np.random.default_rng(seed)
    width, height = size
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    lens = np.diag([4.0, 4.0, 1.0]) @ camera.intrinsics
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(lens).T  # depth 1
    turn, shift = camera.cam_from_world[:3, :3], camera.cam_from_world[:3, 3]
    directions, center = rays @ turn, -turn.T @ shift
    best, color = np.full((height, width), np.inf), np.zeros((height, width, 3))
    tilts = random.uniform(-0.25, 0.25, (2, 2))
    for number, (distance, reach) in enumerate([(760.0, np.inf), (560.0, 110.0)]):
        normal = np.array([*tilts[number], 1.0])
        depth = (distance - center @ normal) / (directions @ normal)
        points = center + depth[..., None] * directions
        hit = (depth > 0) & (np.abs(points[..., :2]).max(-1) < reach) & (depth < best)
        color[hit] = _pattern(points[hit, :2], random.integers(1000))
        best[hit] = depth[hit]
    return best, color


def _pattern(places: Floats, seed: int) -> Floats:
    """Colours [N, 3] in 0..1 of places [N, 2] in mm: waves of many directions and lengths."""
    random = np.random.default_rng(seed)
    value = np.zeros((len(places), 3))
    for length in (40.0, 60.0, 90.0, 140.0, 220.0):
        for _ in range(2):
            angle, phase = random.uniform(0, 2 * np.pi, 2)
            wave = places @ np.array([np.cos(angle), np.sin(angle)]) * (2 * np.pi / length)
            value += np.sin(wave + phase)[:, None] * random.uniform(0.3, 1.0, 3)
    return np.clip(0.5 + 0.12 * value, 0.0, 1.0)
