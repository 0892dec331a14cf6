"""`transforms.json`: cameras and region, in Neuralangelo's form with COLMAP's world.

On disk a frame's `transform_matrix` is world-from-camera with OpenGL axes (x right, y up,
z back). In memory this package uses `world_from_cam` with COLMAP's axes (x right, y down,
z forward); the two differ by the sign of the camera's y and z columns.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput, NotFound
from maquette.scene.atomic import write_json
from maquette.scene.region import Region

FloatArray = NDArray[np.float64]
UP_KEY, GEOREFERENCE_KEY = "up", "georeference"  # the second names the file
_OPENGL_FROM_COLMAP = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera after undistortion; pixels, pixel centres at +0.5."""

    width: int
    height: int
    fl_x: float
    fl_y: float
    cx: float
    cy: float

    def matrix(self) -> FloatArray:
        """The 3 × 3 projection matrix K."""
        return np.array([[self.fl_x, 0, self.cx], [0, self.fl_y, self.cy], [0, 0, 1]])

    def scaled(self, width: int, height: int) -> Intrinsics:
        """The same camera for an image resized to width × height."""
        x_scale, y_scale = width / self.width, height / self.height
        return Intrinsics(
            width, height,
            self.fl_x * x_scale, self.fl_y * y_scale, self.cx * x_scale, self.cy * y_scale,
        )  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """One posed image: its path below the scene, `world_from_cam` [4, 4] and its camera."""

    file_path: str
    world_from_cam: FloatArray
    intrinsics: Intrinsics


@dataclass(frozen=True)
class Transforms:
    """Everything `transforms.json` says that this program uses.

    Attributes:
        up: The direction that is up, [3] world frame; None: the cameras tell
            (`maquette.scene.upright`).
    """

    frames: tuple[Frame, ...]
    region: Region
    up: FloatArray | None = None


def read(path: Path) -> Transforms:
    """Read `transforms.json`, written by us, by Neuralangelo's converter or by its add-on.

    Raises:
        NotFound: there is no such file.
        BadInput: it is not JSON, or a needed key is missing or malformed.
    """
    document = read_document(path)
    try:
        shared = {key: document.get(key) for key in _INTRINSIC_KEYS}
        frames = tuple(_frame_from(entry, shared) for entry in document["frames"])
        region = Region.around(
            document["sphere_center"], document["sphere_radius"], document.get("aabb_range")
        )
        up = _direction(document.get(UP_KEY))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BadInput(
            f"`{path}` lacks or garbles a key: {error}",
            hint="run `make prepare` again with FORCE_STAGE=region",
        ) from error
    if not frames:
        raise BadInput(f"`{path}` names no images", hint="run `make prepare` first")
    return Transforms(frames, region, up)


def read_document(path: Path) -> dict[str, Any]:
    """Read the raw JSON object, keeping keys this program does not know."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(f"no cameras yet: `{path}`", hint="run `make prepare` first") from error
    except ValueError as error:
        raise BadInput(f"`{path}` is not JSON: {error}", hint="run `make prepare` again") from error
    if not isinstance(document, dict):
        raise BadInput(f"`{path}` is not a JSON object", hint="run `make prepare` again")
    return document


def write(path: Path, transforms: Transforms, *, extra: dict[str, Any] | None = None) -> None:
    """Write `transforms.json`; `extra` adds top-level keys (unknown ones are kept by readers)."""
    first = transforms.frames[0].intrinsics
    document = {
        "camera_model": "OPENCV",
        "camera_angle_x": 2 * math.atan(first.width / (2 * first.fl_x)),
        "camera_angle_y": 2 * math.atan(first.height / (2 * first.fl_y)),
        **_intrinsics_to(first),
        **dict.fromkeys(("sk_x", "sk_y", "k1", "k2", "k3", "k4", "p1", "p2"), 0.0),
        "is_fisheye": False,
        **region_to(transforms.region),
        **({} if transforms.up is None else {UP_KEY: [float(value) for value in transforms.up]}),
        "applied_transform": np.eye(4)[:3].tolist(),
        **(extra or {}),
        "frames": [_frame_to(frame, first) for frame in transforms.frames],
    }
    write_json(path, document)


def region_to(region: Region) -> dict[str, Any]:
    """A region under the keys that `transforms.json` has for it."""
    return {
        "aabb_scale": 2.0 ** round(math.log2(region.radius)),
        "aabb_range": [list(limits) for limits in region.box],
        "sphere_center": list(region.center),
        "sphere_radius": region.radius,
    }


_INTRINSIC_KEYS = ("w", "h", "fl_x", "fl_y", "cx", "cy")


def _intrinsics_to(camera: Intrinsics) -> dict[str, float]:
    values = (camera.width, camera.height, camera.fl_x, camera.fl_y, camera.cx, camera.cy)
    return dict(zip(_INTRINSIC_KEYS, values, strict=True))


def _frame_to(frame: Frame, shared: Intrinsics) -> dict[str, Any]:
    own = {} if frame.intrinsics == shared else _intrinsics_to(frame.intrinsics)
    matrix = frame.world_from_cam @ _OPENGL_FROM_COLMAP
    return {"file_path": frame.file_path, "transform_matrix": matrix.tolist(), **own}


def _frame_from(entry: dict[str, Any], shared: dict[str, Any]) -> Frame:
    w, h, fl_x, fl_y, cx, cy = (entry.get(key, shared[key]) for key in _INTRINSIC_KEYS)
    matrix = np.asarray(entry["transform_matrix"], dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise ValueError(f"transform_matrix of {entry['file_path']}")
    intrinsics = Intrinsics(int(w), int(h), float(fl_x), float(fl_y), float(cx), float(cy))
    return Frame(str(entry["file_path"]), matrix @ _OPENGL_FROM_COLMAP, intrinsics)


def _direction(value: Any) -> FloatArray | None:
    if value is None:
        return None
    found = np.asarray(value, dtype=np.float64)
    if found.shape != (3,) or not np.isfinite(found).all() or not found.any():
        raise ValueError(f"{UP_KEY} is no direction")
    return found
