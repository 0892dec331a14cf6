"""Cameras in MVSNet's text form, one file a view."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput, NotFound
from maquette.scene.atomic import write_text

_LEAST_WORDS = 1 + 16 + 1 + 9 + 2


@dataclass(frozen=True)
class Camera:
    """A view's camera.

    Attributes:
        cam_from_world: [4, 4] float64.
        intrinsics: [3, 3] float64, pixels, at the scale of the file.
        depth_min, interval: The first plane and the distance to the next, in the camera's unit.
        depth_max: Of the last plane; 0: the file does not say.
    """

    cam_from_world: NDArray[np.float64]
    intrinsics: NDArray[np.float64]
    depth_min: float
    interval: float
    depth_max: float = 0.0

    def projection(self, scale: float = 1.0) -> NDArray[np.float32]:
        """[4, 4] world to pixel of a picture that is `scale` times as large as the file's."""
        matrix = np.eye(4)
        matrix[:3] = np.diag([scale, scale, 1.0]) @ self.intrinsics @ self.cam_from_world[:3]
        return matrix.astype(np.float32)


def read(path: Path) -> Camera:
    """Read `extrinsic`, `intrinsic` and the line of depths.

    Raises:
        NotFound, BadInput: no such file, or it does not say what it should.
    """
    if not path.is_file():
        raise NotFound(f"there is no camera `{path}`", hint="copy the data set again")
    words = path.read_text(encoding="utf-8").split()
    try:
        if words[0] != "extrinsic" or words[17] != "intrinsic" or len(words) < _LEAST_WORDS:
            raise ValueError("the words `extrinsic` and `intrinsic` are not where they should be")
        pose = np.array(words[1:17], np.float64).reshape(4, 4)
        lens = np.array(words[18:27], np.float64).reshape(3, 3)
        depths = [float(word) for word in words[27:31]]
    except (ValueError, IndexError) as error:
        raise BadInput(
            f"`{path}` is no camera in MVSNet's form: {error}",
            hint="4×4 after `extrinsic`, 3×3 after `intrinsic`, then DEPTH_MIN DEPTH_INTERVAL",
        ) from error
    if depths[0] <= 0 or depths[1] <= 0:
        raise BadInput(
            f"`{path}` has no depth range: DEPTH_MIN {depths[0]}, DEPTH_INTERVAL {depths[1]}",
            hint="both are larger than 0",
        )
    return Camera(pose, lens, depths[0], depths[1], depths[3] if len(depths) > 3 else 0.0)


def write(path: Path, camera: Camera, count: int = 0) -> None:
    """Write a camera; with a count of planes, it and the last depth too."""
    lines = ["extrinsic", *_rows(camera.cam_from_world), "", "intrinsic"]
    last = f" {count} {camera.depth_max:.9g}" if count else ""
    lines += [*_rows(camera.intrinsics), "", f"{camera.depth_min:.9g} {camera.interval:.9g}{last}"]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "\n".join(lines) + "\n")


def _rows(matrix: NDArray[np.float64]) -> list[str]:
    return [" ".join(f"{value:.17g}" for value in row) for row in matrix]
