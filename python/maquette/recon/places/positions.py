"""Where each photo says it was taken: EXIF's GPS and what drones add to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from PIL import ExifTags, Image

from maquette.recon.frames import content, exif
from maquette.recon.places import vendor_data
from maquette.recon.places.vendor_data import VendorData

Level = Literal["sea", "ellipsoid", ""]
_GPS = ExifTags.GPS
_LEVELS: dict[int, tuple[Level, float]] = {
    0: ("sea", 1.0), 1: ("sea", -1.0), 2: ("ellipsoid", 1.0), 3: ("ellipsoid", -1.0),
}  # fmt: skip
_LIKE_WGS84 = ("", "WGS84", "WGS1984", "ETRS89", "CGCS2000", "JGD2011", "GDA94", "GDA2020")
_TURNED = 1  # EXIF's orientation of a picture that is stored as the camera held it
_SAME_DEG = 1e-3  # by which the maker's own position and EXIF's may differ: rounding


@dataclass(frozen=True)
class Position:
    """What one photo tells of its place.

    Attributes:
        latitude, longitude: Degrees, as told; they may be impossible.
        altitude: Metres above `level`; None: not told.
        level: What altitudes count from: the sea, the ellipsoid, "" where nobody says.
        datum: As written, in capitals without blanks and hyphens.
        time: Local, without a zone.
        vendor: What the maker of a drone adds; without angles where the picture was turned.
    """

    latitude: float
    longitude: float
    altitude: float | None = None
    level: Level = ""
    datum: str = ""
    time: datetime | None = None
    vendor: VendorData = field(default_factory=VendorData)

    @property
    def is_possible(self) -> bool:
        """Whether there is such a place on Earth, and it is not what writers put for "unknown"."""
        within = abs(self.latitude) <= 90 and abs(self.longitude) <= 180
        return within and (self.latitude, self.longitude) != (0.0, 0.0)

    @property
    def is_on_wgs84(self) -> bool:
        """Whether its datum is WGS 84, or within metres of it."""
        return self.datum in _LIKE_WGS84

    def as_document(self) -> dict[str, Any]:
        """Its part of `georeference.json`, without what is not known."""
        vendor = self.vendor
        facts = {
            "latitude": self.latitude, "longitude": self.longitude, "altitude_m": self.altitude,
            "altitude_above": self.level or None, "datum": self.datum or None,
            "relative_altitude_m": vendor.relative_altitude, "camera_pitch_deg": vendor.pitch,
            "camera_roll_deg": vendor.roll, "camera_yaw_deg": vendor.yaw,
            "time": self.time.isoformat() if self.time else None,
        }  # fmt: skip
        return {name: value for name, value in facts.items() if value is not None}


def read(path: Path) -> Position | None:
    """The position of a photo; None where it tells none, or can not be read."""
    try:
        with Image.open(path, formats=content.PHOTO_FORMATS) as image:
            found = image.getexif()
            gps = dict(found.get_ifd(ExifTags.IFD.GPSInfo))
            camera = dict(found.get_ifd(ExifTags.IFD.Exif))
            time = camera.get(ExifTags.Base.DateTimeOriginal, found.get(ExifTags.Base.DateTime))
            turn, xmp = exif.orientation(image), image.info.get("xmp", b"")
    except (*exif.BROKEN, Image.DecompressionBombError):
        return None
    vendor = vendor_data.read(xmp) if isinstance(xmp, bytes | str) else VendorData()
    if turn != _TURNED:
        vendor = VendorData(
            vendor.latitude, vendor.longitude, vendor.altitude, vendor.relative_altitude
        )
    return _position(gps, vendor, _time(time))


def _position(gps: dict[int, Any], vendor: VendorData, time: datetime | None) -> Position | None:
    latitude = _degrees(gps.get(_GPS.GPSLatitude), gps.get(_GPS.GPSLatitudeRef), "S")
    longitude = _degrees(gps.get(_GPS.GPSLongitude), gps.get(_GPS.GPSLongitudeRef), "W")
    if latitude is None or longitude is None:
        latitude, longitude = vendor.latitude, vendor.longitude
        if latitude is None or longitude is None:
            return None
    elif vendor.latitude is not None and vendor.longitude is not None:
        apart = abs(vendor.latitude - latitude), abs(vendor.longitude - longitude)
        if max(apart) < _SAME_DEG:  # EXIF has often fewer digits
            latitude, longitude = vendor.latitude, vendor.longitude
    altitude, (level, sign) = _number(gps.get(_GPS.GPSAltitude)), _level(gps)
    if altitude is not None:
        altitude *= sign if altitude > 0 else 1.0
    elif vendor.altitude is not None:
        altitude, level = vendor.altitude, ""
    return Position(latitude, longitude, altitude, level, _datum(gps), time, vendor)


def _degrees(value: Any, reference: Any, negative: str) -> float | None:
    """Degrees of degrees, minutes and seconds, or of the first of these that are there."""
    parts: Sequence[Any] = value if isinstance(value, tuple | list) else (value,)
    numbers = [_number(part) for part in parts[:3]]
    known = [number for number in numbers if number is not None]
    if not known or len(known) < len(numbers):
        return None
    angle = sum(number / 60**place for place, number in enumerate(known))
    return -angle if _text(reference).upper().startswith(negative) and angle > 0 else angle


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _level(gps: dict[int, Any]) -> tuple[Level, float]:
    value = gps.get(_GPS.GPSAltitudeRef, 0)
    code = value[0] if isinstance(value, bytes) and value else value
    return _LEVELS.get(code, ("", 1.0)) if isinstance(code, int) else ("", 1.0)


def _datum(gps: dict[int, Any]) -> str:
    return "".join(c for c in _text(gps.get(_GPS.GPSMapDatum, "")).upper() if c.isalnum())


def _text(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    return text.strip(" \0") if isinstance(text, str) else ""


def _time(value: Any) -> datetime | None:
    try:
        return datetime.strptime(_text(value)[:19], "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
