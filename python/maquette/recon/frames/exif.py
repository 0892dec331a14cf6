"""EXIF of photos: the turn that makes them upright, and what is kept when they are written."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from PIL import ExifTags, Image

_LARGEST_BYTES = 65_533 - 6  # of a JPEG segment, less its own head
# What Pillow raises for data that it can not parse, or can not write again.
BROKEN = (struct.error, ValueError, TypeError, KeyError, OSError, SyntaxError, OverflowError,
          ZeroDivisionError, AttributeError, IndexError)  # fmt: skip
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What cameras' geometry, time and place can be told from.
_BASE = ("Make", "Model", "DateTime", "Software")
_CAMERA = ("FocalLength", "FocalLengthIn35mmFilm", "FocalPlaneXResolution",
           "FocalPlaneYResolution", "FocalPlaneResolutionUnit", "DateTimeOriginal",
           "SubsecTimeOriginal", "ExposureTime", "FNumber", "ISOSpeedRatings", "LensModel",
           "ExifImageWidth", "ExifImageHeight")  # fmt: skip


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) to 8."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except BROKEN:
        return 1
    return int(value) if isinstance(value, int) and 1 <= value <= 8 else 1


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The picture as it was seen, out of the picture as stored."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def of_upright(image: Image.Image) -> tuple[bytes, bool]:
    """EXIF for an upright JPEG, out of that of the picture as stored.

    Returns:
        The data, and whether all of it was kept: what is damaged, and more than a JPEG holds,
        gives way to what tells camera, time and place.
    """
    try:
        whole = image.getexif()
        whole[ExifTags.Base.Orientation] = 1
        data = whole.tobytes()
        if len(data) <= _LARGEST_BYTES:
            return data, True
    except BROKEN:
        pass
    return _essentials(image).tobytes(), False


def _essentials(image: Image.Image) -> Image.Exif:
    kept = Image.Exif()
    kept[ExifTags.Base.Orientation] = 1
    try:
        found = image.getexif()
    except BROKEN:
        return kept
    _keep(kept, _base(found), [int(ExifTags.Base[name]) for name in _BASE])
    for ifd, tags in (
        (ExifTags.IFD.Exif, [int(ExifTags.Base[name]) for name in _CAMERA]),
        (ExifTags.IFD.GPSInfo, [int(tag) for tag in ExifTags.GPS]),
    ):
        try:
            _keep(kept.get_ifd(ifd), dict(found.get_ifd(ifd)), tags)
        except BROKEN:
            continue
    return kept


def _base(found: Image.Exif) -> dict[int, object]:
    values = {}
    for name in _BASE:
        try:
            values[int(ExifTags.Base[name])] = found[ExifTags.Base[name]]
        except BROKEN:
            continue
    return values


def _keep(target: object, values: dict[int, object], tags: Iterable[int]) -> None:
    """Take over the values that can be written, one by one."""
    for tag in tags:
        if tag not in values:
            continue
        try:
            alone = Image.Exif()
            alone[tag] = values[tag]
            if len(alone.tobytes()) < 4096:
                target[tag] = values[tag]  # type: ignore[index]
        except BROKEN:
            continue
