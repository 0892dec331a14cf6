"""One view in the folder form of MVSNet, which other programs read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maquette.recon.mvsnet.datasets import camera_files
from maquette.recon.mvsnet.datasets.camera_files import Camera
from maquette.scene.transforms import Frame

CAMERAS, PAIRS = "cams", "pair.txt"
PLANES = 192  # into so many the range of depths is cut, for programs that ask


def view_file(folder: Path, number: int, suffix: str) -> Path:
    """`00000012.jpg` and the like."""
    return folder / f"{number:08d}{suffix}"


def write_camera(folder: Path, number: int, frame: Frame, span: tuple[float, float]) -> None:
    """Write a view's camera and where to look for its depths.

    Args:
        frame: Of the picture's size; its lens is told in COLMAP's pixels, as MVSNet's converter
            does.
        span: Least and largest depth.
    """
    interval = (span[1] - span[0]) / (PLANES - 1)
    camera = Camera(
        np.asarray(np.linalg.inv(frame.world_from_cam), np.float64),
        frame.intrinsics.matrix(),
        span[0],
        interval,
        span[1],
    )
    camera_files.write(view_file(folder, number, "_cam.txt"), camera, PLANES)
