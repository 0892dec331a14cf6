"""Which pictures share a camera, and what is known of it beforehand."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from pathlib import Path

from PIL import ExifTags, Image

from maquette.errors import ConfigError
from maquette.recon.sfm.colmap import pycolmap
from maquette.scene import originals
from maquette.scene.paths import Scene

# Without an undistorted pinhole view, or no model at all.
_UNUSABLE = frozenset({"INVALID", "EQUIRECTANGULAR"})


def group_by_camera(folder: Path, names: Sequence[str]) -> list[list[str]]:
    """Split pictures into groups that share a camera: same size, make, model and focal length."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for name in names:
        groups.setdefault(_camera_key(folder / name), []).append(name)
    return list(groups.values())


def _camera_key(path: Path) -> tuple[object, ...]:
    with Image.open(path) as image:
        exif = image.getexif()
        detail = exif.get_ifd(ExifTags.IFD.Exif)
        tags = [exif.get(tag) for tag in (ExifTags.Base.Make, ExifTags.Base.Model)]
        tags += [
            detail.get(tag)
            for tag in (ExifTags.Base.FocalLength, ExifTags.Base.FocalLengthIn35mmFilm)
        ]
        return (*image.size, *(str(tag) for tag in tags))


def known(scene: Scene, model: str, params: str) -> tuple[str, str]:
    """Model and parameters that a person gave, else those of pictures that prepare made itself."""
    return (model, params) if params.strip() else originals.camera(scene) or (model, params)


def check_model(name: str) -> str:
    """Return the camera model's name.

    Raises:
        ConfigError: COLMAP has no such model, or it can not be undistorted to a pinhole view.
    """
    usable = sorted(set(pycolmap.CameraModelId.__members__) - _UNUSABLE)
    if name not in usable:
        nearest = difflib.get_close_matches(name.upper(), usable, n=1) or ["SIMPLE_RADIAL"]
        raise ConfigError(
            f"there is no camera model `{name}` to use",
            detail=f"known: {', '.join(usable)}",
            hint=f"try CAMERA_MODEL={nearest[0]}",
        )
    return name


def check_parameters(model: str, text: str) -> list[float]:
    """Parse known intrinsics, comma separated, in COLMAP's order.

    Returns:
        The numbers; none if `text` is empty.

    Raises:
        ConfigError: not finite numbers, or not as many as the model has.
    """
    if not text.strip():
        return []
    wanted = pycolmap.Camera.create_from_model_name(1, check_model(model), 1.0, 2, 2)
    hint = f"{model} takes, in this order: {wanted.params_info}"
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"CAMERA_PARAMS is not a list of numbers: `{text}`", hint=hint) from error
    if len(numbers) != len(wanted.params):
        raise ConfigError(
            f"CAMERA_PARAMS has {len(numbers)} numbers, {model} has {len(wanted.params)}", hint=hint
        )
    if not all(map(math.isfinite, numbers)) or numbers[0] <= 0:
        raise ConfigError(f"CAMERA_PARAMS holds an impossible value: `{text}`", hint=hint)
    return numbers
