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

Kind = Literal["photo", "raw", "video", "zip", "other"]

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
_RAW_SUFFIXES = frozenset(
    [
        ".3fr",
        ".arw",
        ".cr2",
        ".cr3",
        ".crw",
        ".dcr",
        ".dng",
        ".erf",
        ".iiq",
        ".kdc",
        ".mef",
        ".mos",
        ".mrw",
        ".nef",
        ".nrw",
        ".orf",
        ".pef",
        ".raf",
        ".raw",
        ".rw2",
        ".rwl",
        ".sr2",
        ".srf",
        ".srw",
        ".x3f",
    ]
)
_RAW_CONTAINERS = (b"II*\0", b"MM\0*", b"IIRO", b"IIRS", b"IIU\0", b"FUJIFILM", b"FOVb")
_CANON_BRAND = b"crx "
_DNG_VERSION, _PHOTOMETRIC = 50706, 262
_SENSOR_DATA = (32803, 34892)  # colour filter array, linear raw
_PHOTO_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"II*\0", b"MM\0*", b"BM", b"P6", b"P5")
_HEIF_BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"hevc", b"avif")


def kind_of(path: Path) -> Kind:
    """Tell photo, video and archive apart by content."""
    if zipfile.is_zipfile(path):
        return "zip"
    if _is_raw(path):
        return "raw"  # its first picture, which Pillow would open, is a small preview
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


def _is_raw(path: Path) -> bool:
    """Whether it holds a sensor's data: by its name and container, or by TIFF's tags."""
    with open(path, "rb") as file:
        head = file.read(16)
    is_container = head.startswith(_RAW_CONTAINERS) or head[8:12] == _CANON_BRAND
    if is_container and path.suffix.lower() in _RAW_SUFFIXES:
        return True
    if not head.startswith((b"II*\0", b"MM\0*")):
        return False
    try:
        with Image.open(path, formats=("TIFF",)) as image:
            tags = image.tag_v2  # type: ignore[attr-defined]
            return _DNG_VERSION in tags or tags.get(_PHOTOMETRIC) in _SENSOR_DATA
    except (OSError, ValueError, SyntaxError, KeyError, TypeError):
        return False


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
