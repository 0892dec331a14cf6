"""Photos with positions in EXIF and a drone's facts in XMP, written for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

GPS = ExifTags.GPS
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description drone-dji:AbsoluteAltitude="+198.30" '
    'drone-dji:RelativeAltitude="{relative}" drone-dji:GimbalRollDegree="{roll}" '
    'drone-dji:GimbalYawDegree="{yaw}" drone-dji:GimbalPitchDegree="{pitch}"/></x:xmpmeta>'
)


def gps_tags(place: tuple[float, float, float]) -> dict[int, Any]:
    """EXIF's tags of a place (latitude, longitude, altitude), to 0.3 mm."""
    latitude, longitude, altitude = place
    return {
        GPS.GPSLatitudeRef: "N" if latitude >= 0 else "S", GPS.GPSLatitude: _dms(abs(latitude)),
        GPS.GPSLongitudeRef: "E" if longitude >= 0 else "W", GPS.GPSLongitude: _dms(abs(longitude)),
        GPS.GPSAltitudeRef: b"\x01" if altitude < 0 else b"\x00",
        GPS.GPSAltitude: IFDRational(round(abs(altitude) * 1000), 1000),
    }  # fmt: skip


def write_photo(
    path: Path, place: tuple[float, float, float] | None, *, time: str = "", xmp: str = "",
    turn: int = 1, tags: dict[int, Any] | None = None, picture: Image.Image | None = None,
) -> Path:  # fmt: skip
    """Write a photo that tells a place (latitude, longitude, altitude).

    Args:
        tags: Of EXIF's GPS, in place of those of the place.
    """
    data = Image.Exif()
    data[ExifTags.Base.Orientation] = turn
    if time:
        data.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = time
    if place is not None:
        data.get_ifd(ExifTags.IFD.GPSInfo).update(gps_tags(place) | (tags or {}))
    shown = picture or Image.new("RGB", (16, 12), "gray")
    shown.save(path, exif=data, xmp=xmp.encode(), quality=90)
    return path


def _dms(degrees: float) -> tuple[IFDRational, ...]:
    whole = int(degrees)
    minutes = int((degrees - whole) * 60)
    seconds = (degrees - whole - minutes / 60) * 3600
    return IFDRational(whole), IFDRational(minutes), IFDRational(round(seconds * 1e5), 100_000)
