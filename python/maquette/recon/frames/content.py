"""What a file is, judged by its content: names lie."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

import av
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()
Image.init()

Kind = Literal["photo", "video", "zip", "other"]

PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF", "BMP", "PPM")  # MPO opens as JPEG
# Demuxers that mean a film; others (text as "tty", pictures as "image2") open nearly anything.
_FILM_DEMUXERS = frozenset(
    [
        "mov",
        "mp4",
        "m4a",
        "3gp",
        "3g2",
        "mj2",
        "matroska",
        "webm",
        "avi",
        "mpeg",
        "mpegts",
        "flv",
        "asf",
        "ogg",
        "mxf",
        "mpegvideo",
        "h264",
        "hevc",
        "ivf",
        "y4m",
        "yuv4mpegpipe",
        "nut",
    ]
)
_PHOTO_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"II*\0", b"MM\0*", b"BM", b"P6", b"P5")
_HEIF_BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"hevc", b"avif")


def kind_of(path: Path) -> Kind:
    """Tell photo, video and archive apart by content."""
    if zipfile.is_zipfile(path):
        return "zip"
    if _opens_as_photo(path):
        return "photo"
    return "video" if _opens_as_film(path) else "other"


def looks_like_photo(path: Path) -> bool:
    """Whether the first bytes are a picture's, so that a damaged one is named as such."""
    with open(path, "rb") as file:
        head = file.read(16)
    return head.startswith(_PHOTO_SIGNATURES) or (
        head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS
    )


def _opens_as_photo(path: Path) -> bool:
    try:
        with Image.open(path, formats=PHOTO_FORMATS):
            return True
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _opens_as_film(path: Path) -> bool:
    try:
        with av.open(str(path)) as container:
            names = set(container.format.name.split(","))
            return bool(names & _FILM_DEMUXERS)
    except (av.FFmpegError, OSError, ValueError):
        return False
