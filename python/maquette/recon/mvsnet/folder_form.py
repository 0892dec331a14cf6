"""The folder form of MVSNet that other programs read: cameras as text, depth maps as PFM.

Source: Y. Yao et al., "MVSNet", ECCV 2018, and the notes of its published program.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.scene.atomic import replacing, write_text
from maquette.scene.transforms import Frame

Floats = NDArray[np.floating]


def view_file(folder: Path, number: int, suffix: str) -> Path:
    """`00000012.jpg` and the like."""
    return folder / f"{number:08d}{suffix}"


def camera_file(folder: Path, number: int) -> Path:
    """Where a view's camera is told."""
    return view_file(folder, number, "_cam.txt")


def write_camera(path: Path, frame: Frame, span: tuple[float, float], planes: int = 192) -> None:
    """Write a view's camera and where to look for its depths.

    Args:
        frame: Of the picture's size; its lens is told in COLMAP's pixels, as MVSNet's converter
            does.
        span: Least and largest depth.
        planes: Into how many steps that range is cut.
    """
    interval = (span[1] - span[0]) / (planes - 1)
    words = [
        "extrinsic", _rows(np.linalg.inv(frame.world_from_cam)), "",
        "intrinsic", _rows(frame.intrinsics.matrix()), "",
        f"{span[0]:.9g} {interval:.9g} {planes} {span[1]:.9g}",
    ]  # fmt: skip
    write_text(path, "\n".join(words) + "\n")


def write_pfm(path: Path, values: Floats) -> None:
    """Write a map [H, W] as float32 PFM: rows from the lowest up, little-endian."""
    height, width = values.shape
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(f"Pf\n{width} {height}\n-1.0\n".encode())
        file.write(np.ascontiguousarray(values[::-1], "<f4").tobytes())


def read_pfm(path: Path) -> NDArray[np.float32]:
    """Read a PFM of one channel, [H, W].

    Raises:
        BadInput: it is none.
    """
    try:
        with open(path, "rb") as file:
            kind, size, scale = (file.readline().strip() for _ in range(3))
            if kind != b"Pf":
                raise ValueError(f"it begins with {kind[:8]!r}, not b'Pf'")
            width, height = (int(word) for word in size.split())
            order = "<" if float(scale) < 0 else ">"
            values = np.frombuffer(file.read(), f"{order}f4").reshape(height, width)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"`{path}` is no PFM of one channel: {error}", hint="write it again"
        ) from error
    return np.ascontiguousarray(values[::-1], f"{'<' if sys.byteorder == 'little' else '>'}f4")


def _rows(matrix: Floats) -> str:
    return "\n".join(" ".join(f"{value:.9g}" for value in row) for row in matrix)
