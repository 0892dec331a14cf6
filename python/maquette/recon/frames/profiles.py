"""Photos in other colour spaces than sRGB: their ICC profile, or EXIF's word for Adobe RGB."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import ExifTags, Image, ImageCms

from maquette.recon.frames.exif import BROKEN

_DAMAGED = (ImageCms.PyCMSError, *BROKEN)
_SEEN_LEVELS = 2  # of 255: what differs less is sRGB under another name
_UNCALIBRATED, _ADOBE_RGB = 0xFFFF, 2
_ADOBE_GAMMA = 563 / 256
_ADOBE_TO_BT709 = ((1.39836, -0.39836, 0.0), (0.0, 1.0, 0.0), (0.0, -0.04293, 1.04293))


def is_srgb(image: Image.Image) -> bool:
    """Whether the numbers of an RGB picture may be taken as they are."""
    profile = image.info.get("icc_profile")
    if not profile:
        return not _is_adobe_rgb(image)
    try:
        return not _changes(profile)
    except _DAMAGED:
        return False


def to_srgb(rgb: Image.Image, source: Image.Image) -> tuple[Image.Image, bool]:
    """An RGB picture in sRGB.

    Args:
        rgb: The pixels, [H, W] RGB, 8 bits.
        source: The picture as opened, with its profile and EXIF.

    Returns:
        The picture, and whether its profile could be understood.
    """
    profile = source.info.get("icc_profile")
    if not profile:
        return (_from_adobe_rgb(rgb) if _is_adobe_rgb(source) else rgb), True
    try:
        if source.mode in ("CMYK", "LAB"):
            return _transformed(source, profile), True
        return (_transformed(rgb, profile) if _changes(profile) else rgb), True
    except _DAMAGED:
        return rgb, False


@lru_cache(maxsize=8)
def _changes(profile: bytes) -> bool:
    """Whether colours look different when the profile is left out."""
    levels = np.array([0, 51, 102, 153, 204, 255], np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(36, 6, 3)
    seen = np.asarray(_transformed(Image.fromarray(grid), profile))
    return int(np.abs(seen.astype(int) - grid.astype(int)).max()) > _SEEN_LEVELS


def _transformed(image: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    found = ImageCms.profileToProfile(
        image,
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert found is not None
    return found


def _is_adobe_rgb(image: Image.Image) -> bool:
    """DCF's way to say so: the colour space is uncalibrated, the interoperability index R03."""
    try:
        exif = image.getexif()
        space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        index = str(exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex, ""))
    except BROKEN:
        return False
    return space == _ADOBE_RGB or (space == _UNCALIBRATED and index.startswith("R03"))


def _from_adobe_rgb(rgb: Image.Image) -> Image.Image:
    """Source: Adobe RGB (1998) Color Image Encoding, 4.3; white D65 as sRGB's."""
    light = (np.arange(256) / 255) ** _ADOBE_GAMMA
    linear = light.astype(np.float32)[np.asarray(rgb)] @ np.asarray(_ADOBE_TO_BT709, np.float32).T
    linear = linear.clip(0, 1)
    signal = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return Image.fromarray((signal * 255).round().astype(np.uint8))
