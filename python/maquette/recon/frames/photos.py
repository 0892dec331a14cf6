"""Reading photos of any common kind as upright 8-bit sRGB."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from maquette.errors import BadInput
from maquette.recon.frames import content, deep, exif, panorama, profiles
from maquette.recon.frames.deep import Depth, White

JPEG_QUALITY = 95
_CHECK_SIDE_PX = 400
_SHOWN = 5


@dataclass(frozen=True)
class Photo:
    """Facts of one readable photo; width and height are after its EXIF turn.

    Attributes:
        depth: Of a photo of more than 8 bits a channel.
        goes_round: It looks like a 360° panorama.
    """

    path: Path
    width: int
    height: int
    depth: Depth | None = None
    goes_round: bool = False


def read_facts(path: Path) -> Photo:
    """Decode a photo once (JPEG at a reduced size) and give its upright size.

    Raises:
        OSError, ValueError, SyntaxError: it can not be decoded to its end.
    """
    with Image.open(path, formats=content.PHOTO_FORMATS) as image:
        width, height = image.size
        values = deep.values(path, image)
        if exif.orientation(image) >= 5:
            width, height = height, width
        if values is None:
            image.draft("RGB", (_CHECK_SIDE_PX, _CHECK_SIDE_PX))
        image.load()
        goes_round = values is None and panorama.is_panorama(image)
    depth = None if values is None else deep.depth_of(values)
    return Photo(path, width, height, depth, goes_round)


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


@dataclass(frozen=True)
class Normalised:
    """What became of a photo: the mask that its transparency gives, and what was lost."""

    mask: Image.Image | None = None
    remark: str = ""


def write_normalised(path: Path, target: Path, white: White | None = None) -> Normalised:
    """Write a photo as an upright sRGB JPEG that keeps its EXIF data.

    An upright sRGB JPEG is copied byte for byte, because encoding it again only loses.

    Args:
        white: What becomes 255 in pictures of more than 8 bits; None = told by this one.
    """
    with Image.open(path, formats=content.PHOTO_FORMATS) as image:
        values = deep.values(path, image)
        turn = exif.orientation(image)
        is_jpeg = image.format in ("JPEG", "MPO") and image.mode == "RGB"
        if is_jpeg and turn == 1 and profiles.is_srgb(image):
            shutil.copyfile(path, target)
            return Normalised()
        data, is_whole = exif.of_upright(image)
        mask = _mask(image)
        rgb = to_rgb(image) if values is None else deep.to_rgb(values, white)
        rgb, is_understood = profiles.to_srgb(rgb, image)
    exif.upright(rgb, turn).save(target, format="JPEG", quality=JPEG_QUALITY, exif=data)
    remark = "" if is_whole else "its EXIF data are damaged or too long: the camera's were kept"
    if not is_understood:
        remark = "its colour profile is damaged: taken for sRGB"
    return Normalised(None if mask is None else exif.upright(mask, turn), remark)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode of 8 bits to RGB; transparency is laid on white."""
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def _mask(image: Image.Image) -> Image.Image | None:
    """White where a picture is opaque; None where it is opaque everywhere."""
    if not image.has_transparency_data:
        return None
    alpha = image.convert("RGBA").getchannel("A").point(lambda value: 255 * (value >= 128))
    return alpha if alpha.getextrema()[0] == 0 else None


def evenly(count: int, wanted: int) -> list[int]:
    """Indices of `wanted` of `count` items, evenly spread, first and last included."""
    if wanted <= 0 or wanted >= count:
        return list(range(count))
    return [int(index) for index in np.linspace(0, count - 1, wanted).round()]


def _attempt(path: Path) -> Photo | str:
    try:
        return read_facts(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = (
            "it is empty" if path.stat().st_size == 0 else str(error).replace(str(path), path.name)
        )
        return f"`{path.name}`: {reason}"
