"""Masks that came with the photos: brought to the pictures' names and turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageChops

from maquette.errors import BadInput
from maquette.recon.frames import content, exif
from maquette.recon.frames.pictures import Picture
from maquette.scene import masks
from maquette.scene.input_source import files_below, masks_below


def take(given: Path, made: Sequence[Picture], pictures: Path, folder: Path) -> list[str]:
    """Write the mask of each picture to `folder`, beside those of transparent pixels.

    Args:
        given: `input/`; its folders `masks` hold them, named after the photos.
        pictures: Where the pictures lie.

    Returns:
        What a person should know: how many there are, and files that belong to no photo.

    Raises:
        BadInput: a mask can not be read.
    """
    files = masks_below(given)
    names = masks.by_original((picture.name, picture.original) for picture in made)
    matched = masks.match(files, names)
    photos = {path.name: path for path in files_below(given)}
    originals = {picture.name: photos[picture.original] for picture in made}
    transparent = len(list(folder.iterdir()))
    for name, path in matched.by_picture.items():
        _write(path, originals[name], pictures / name, folder / f"{Path(name).stem}{masks.SUFFIX}")
    remarks = matched.remarks()
    if transparent:
        remarks.append(f"transparent pixels of {transparent} photos are masked")
    return remarks


def _write(mask: Path, photo: Path, picture: Path, target: Path) -> None:
    with Image.open(picture) as image:
        size = image.size
    try:
        with Image.open(mask) as opened:
            found = _black_and_white(opened)
    except (OSError, ValueError, SyntaxError) as error:
        raise BadInput(
            f"can not read the mask `{mask.name}`: {error}",
            hint="write it again as a PNG of black and white, or take it away",
        ) from error
    is_turned = (found.width > found.height) != (size[0] > size[1])
    if is_turned:
        with Image.open(photo, formats=content.PHOTO_FORMATS) as opened:
            found = exif.upright(found, exif.orientation(opened))
    found = found.resize(size, Image.Resampling.NEAREST)
    if target.exists():
        with Image.open(target) as transparent:
            found = ImageChops.darker(found, transparent.convert("L"))
    found.save(target)


def _black_and_white(mask: Image.Image) -> Image.Image:
    """White where pixels are used; masks of 0 and 1 and of 16 bits count too."""
    if mask.mode.startswith("I"):
        mask = mask.point(lambda value: value * (1 / 256)).convert("L")
    grey = mask.convert("L")
    brightest = grey.getextrema()[1]
    return grey.point(lambda value: 255 * (2 * value > min(brightest, 255)))
