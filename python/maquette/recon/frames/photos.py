"""Reading photos of any common kind as upright 8-bit RGB."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from maquette.errors import BadInput
from maquette.recon.frames import content

JPEG_QUALITY = 95
_CHECK_SIDE_PX = 400
_SHOWN = 5


@dataclass(frozen=True)
class Photo:
    """Facts of one readable photo; width and height are after its EXIF turn."""

    path: Path
    width: int
    height: int


def read_facts(path: Path) -> Photo:
    """Decode a photo once (JPEG at a reduced size) and give its upright size.

    Raises:
        OSError, ValueError, SyntaxError: it can not be decoded to its end.
    """
    with Image.open(path, formats=content.PHOTO_FORMATS) as image:
        width, height = image.size
        turned = orientation(image) >= 5
        image.draft("RGB", (_CHECK_SIDE_PX, _CHECK_SIDE_PX))
        image.load()
    return Photo(path, height, width) if turned else Photo(path, width, height)


def check(paths: Sequence[Path]) -> list[Photo]:
    """Decode every photo, naming all damaged ones together.

    Raises:
        BadInput: some can not be read.
    """
    with ThreadPoolExecutor(max_workers=4) as pool:
        results = list(pool.map(_attempt, paths))
    problems = [text for text in results if isinstance(text, str)]
    if problems:
        shown = problems[:_SHOWN] + [f"… and {len(problems) - _SHOWN} more"] * (
            len(problems) > _SHOWN
        )
        raise BadInput(
            f"{len(problems)} of {len(paths)} photos can not be read: {problems[0]}",
            detail="\n".join(shown),
            hint="copy these files again from the camera, or leave them out",
        )
    return [photo for photo in results if isinstance(photo, Photo)]


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) to 8."""
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return int(value) if isinstance(value, int) and 1 <= value <= 8 else 1


def write_normalised(path: Path, target: Path) -> None:
    """Write a photo as an upright RGB JPEG that keeps its EXIF data.

    An upright RGB JPEG is copied byte for byte, because encoding it again only loses.
    """
    with Image.open(path, formats=content.PHOTO_FORMATS) as image:
        if image.format in ("JPEG", "MPO") and image.mode == "RGB" and orientation(image) == 1:
            shutil.copyfile(path, target)
            return
        upright = ImageOps.exif_transpose(image)
        exif = upright.getexif()
        exif[ExifTags.Base.Orientation] = 1
        to_rgb(upright).save(target, format="JPEG", quality=JPEG_QUALITY, exif=exif.tobytes())


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to 8-bit RGB: deep greys scaled, transparency laid on white."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_bytes(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def evenly(count: int, wanted: int) -> list[int]:
    """Indices of `wanted` of `count` items, evenly spread, first and last included."""
    if wanted <= 0 or wanted >= count:
        return list(range(count))
    return [int(index) for index in np.linspace(0, count - 1, wanted).round()]


def _to_bytes(grey: np.ndarray) -> np.ndarray:
    peak = float(grey.max(initial=0))
    scale = 255.0 if grey.dtype.kind == "f" and peak <= 1.0 else 1.0 if peak <= 255 else 1 / 257
    return (grey * scale).round().clip(0, 255).astype(np.uint8)


def _attempt(path: Path) -> Photo | str:
    try:
        return read_facts(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = (
            "it is empty" if path.stat().st_size == 0 else str(error).replace(str(path), path.name)
        )
        return f"`{path.name}`: {reason}"
