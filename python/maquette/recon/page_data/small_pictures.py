"""Photos small enough to be shown by the dozen, and the pictures that stand for a scene."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from maquette.recon.pictures.contact_sheet import TILE_PX
from maquette.scene.atomic import replacing
from maquette.scene.transforms import Frame

THUMBNAIL_PX = 240
LINK_PX = (1200, 630)  # of a picture beside a link, as Open Graph's readers crop it
_GAP_PX = 4
_PITCH = TILE_PX + _GAP_PX
_BESIDE = 3


def write_thumbnails(root: Path, frames: Sequence[Frame], folder: Path) -> list[Path | None]:
    """Write a small JPEG of each photo; returns them, None for a photo that can not be read."""
    return [_thumbnail(root / frame.file_path, folder) for frame in frames]


def _thumbnail(photo: Path, folder: Path) -> Path | None:
    path = folder / f"{photo.stem}.jpg"
    try:
        if path.is_file() and path.stat().st_mtime >= photo.stat().st_mtime:
            return path
        with Image.open(photo) as opened:
            opened.draft("RGB", (THUMBNAIL_PX, THUMBNAIL_PX))
            small = ImageOps.exif_transpose(opened).convert("RGB")
        small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
        _save(small, path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return path


def write_emblems(sheet: Path | None, photo: Path | None, folder: Path) -> tuple[str, str]:
    """Write `picture.jpg`, one view, and `link.jpg`, three of them for the preview of a link.

    Args:
        sheet: A contact sheet; its first tiles are taken.
        photo: Taken where there is no sheet.

    Returns:
        Their names; "" where there is neither.
    """
    tiles = _tiles(sheet) or _whole(photo)
    if not tiles:
        return "", ""
    _save(tiles[0], folder / "picture.jpg")
    _save(_side_by_side(tiles[:_BESIDE]), folder / "link.jpg")
    return "picture.jpg", "link.jpg"


def _tiles(sheet: Path | None) -> list[Image.Image]:
    if sheet is None:
        return []
    try:
        with Image.open(sheet) as opened:
            picture = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError):
        return []
    if picture.height < _PITCH or picture.width < _PITCH:
        return []
    columns = min(_BESIDE, (picture.width - _GAP_PX) // _PITCH)
    corners = [_GAP_PX + column * _PITCH for column in range(columns)]
    return [picture.crop((x, _GAP_PX, x + TILE_PX, _GAP_PX + TILE_PX)) for x in corners]


def _whole(photo: Path | None) -> list[Image.Image]:
    if photo is None:
        return []
    try:
        with Image.open(photo) as opened:
            return [ImageOps.exif_transpose(opened).convert("RGB")]
    except (OSError, ValueError, SyntaxError):
        return []


def _side_by_side(tiles: Sequence[Image.Image]) -> Image.Image:
    """Tiles in a row, in the middle of a picture of the ground's own colour."""
    width, height = LINK_PX
    canvas = Image.new("RGB", LINK_PX, tiles[0].getpixel((0, tiles[0].height - 1)))
    canvas.paste((236, 236, 236), (0, 0, width, height))
    each = width // len(tiles)
    for number, tile in enumerate(tiles):
        fitted = ImageOps.contain(tile, (each, height), Image.Resampling.LANCZOS)
        left = number * each + (each - fitted.width) // 2
        canvas.paste(fitted, (left, (height - fitted.height) // 2))
    return canvas


def _save(image: Image.Image, path: Path) -> None:
    with replacing(path) as temporary:
        image.save(temporary, "JPEG", quality=86)
