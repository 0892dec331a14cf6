"""Make COLMAP workspaces for tests: cameras around a ball of points, written by numpy alone."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maquette.scene.lens_models import BY_ID

Floats = NDArray[np.float64]
SIZES = {0: (64, 48), 1: (48, 64)}  # by camera id: two cameras of different shape


@dataclass(frozen=True)
class Sketch:
    """What a workspace is to hold; poses are world_from_cam."""

    poses: Floats
    points: Floats
    colors: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 3), np.uint8))


def around(center: Floats, distance: float, cameras: int, points: Floats, seed: int = 0) -> Sketch:
    """Cameras on a tilted ring that look at `center`."""
    random = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (cameras, 1, 1))
    for number, turn in enumerate(np.linspace(0, 2 * np.pi, cameras, endpoint=False)):
        away = np.array([np.cos(turn), -0.5 + 0.2 * np.sin(3 * turn), np.sin(turn)])
        forward = -away / np.linalg.norm(away)
        right = np.cross(forward, [0.0, -1.0, 0.0])  # up is -y, as COLMAP often has it
        right /= np.linalg.norm(right)
        poses[number, :3] = np.stack(
            [right, np.cross(forward, right), forward, center - distance * forward], axis=1
        )
    colors = random.integers(0, 256, (len(points), 3)).astype(np.uint8)
    return Sketch(poses, points, colors)


def ball(count: int, center: Floats, radius: float, seed: int = 0) -> Floats:
    """Points evenly inside a ball, [count, 3]."""
    random = np.random.default_rng(seed)
    away = random.normal(size=(count, 3))
    away *= (radius * random.random(count) ** (1 / 3) / np.linalg.norm(away, axis=1))[:, None]
    return center + away


def write_workspace(root: Path, sketch: Sketch, *, photos: bool = True) -> Path:
    """Write images/ and sparse/0/*.bin; odd images are of the second camera."""
    sparse = root / "sparse" / "0"
    sparse.mkdir(parents=True)
    (sparse / "cameras.bin").write_bytes(_cameras())
    (sparse / "images.bin").write_bytes(_images(sketch.poses))
    (sparse / "points3D.bin").write_bytes(_points(sketch))
    if photos:
        (root / "images").mkdir()
        for number in range(len(sketch.poses)):
            color = (40 + number * 13 % 200, 90, 160)
            Image.new("RGB", SIZES[number % 2], color).save(root / "images" / name_of(number))
    return root


def name_of(number: int) -> str:
    return f"{number:04}.jpg"


def _cameras() -> bytes:
    parts = [struct.pack("<Q", len(SIZES))]
    for number, (width, height) in SIZES.items():
        focal, model = 50.0 + number, BY_ID[1]
        parameters = (focal, 1.1 * focal, width / 2 + 1.5, height / 2 - 2.5)
        parts.append(struct.pack("<IiQQ", number, 1, width, height))
        parts.append(struct.pack(f"<{model.parameters}d", *parameters))
    return b"".join(parts)


def _images(poses: Floats) -> bytes:
    from scipy.spatial.transform import Rotation

    parts = [struct.pack("<Q", len(poses))]
    for number, pose in enumerate(poses):
        turn = pose[:3, :3].T
        x, y, z, w = Rotation.from_matrix(turn).as_quat()
        parts.append(
            struct.pack("<I7dI", number + 1, w, x, y, z, *(-turn @ pose[:3, 3]), number % 2)
        )
        parts.append(name_of(number).encode() + b"\0" + struct.pack("<Q", 2))
        parts.append(struct.pack("<ddqddq", 1.0, 2.0, -1, 3.0, 4.0, 1))
    return b"".join(parts)


def _points(sketch: Sketch) -> bytes:
    """Each point with a track of two; as one array, so that a million take a second."""
    entry = np.dtype(
        [("id", "<u8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8"),
         ("length", "<u8"), ("track", "<u4", (2, 2))]
    )  # fmt: skip
    entries = np.zeros(len(sketch.points), entry)
    entries["id"] = np.arange(1, len(entries) + 1)
    entries["xyz"], entries["rgb"] = sketch.points, sketch.colors
    entries["length"], entries["track"] = 2, [[1, 0], [2, 1]]
    return struct.pack("<Q", len(entries)) + entries.tobytes()
