"""What drones write into XMP: heights, the camera's angles, and positions with more digits.

Read as text, not parsed: makers write names as attributes or as elements, some of them broken.

| prefix | maker | pitch of a camera that looks straight down |
|---|---|---|
| `drone-dji` | DJI, Hasselblad | -90° |
| `drone-parrot` | Parrot | -90° |
| `Camera` | Pix4D's names: senseFly, Parrot Sequoia, Autel, MicaSense | 0° |
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_NUMBER = r"([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"
_LARGEST = 1 << 20  # bytes that are looked at


@dataclass(frozen=True)
class VendorData:
    """Of one photo; None where it is not told.

    Attributes:
        latitude, longitude: Degrees.
        altitude: Metres, as in EXIF.
        relative_altitude: Metres above the place of take-off.
        pitch, roll, yaw: Degrees. Pitch is 0 when the camera looks at the horizon and -90 when it
            looks straight down; roll is positive when its right side hangs lower.
    """

    latitude: float | None = None
    longitude: float | None = None
    altitude: float | None = None
    relative_altitude: float | None = None
    pitch: float | None = None
    roll: float | None = None
    yaw: float | None = None


def read(xmp: bytes | str) -> VendorData:
    """What a packet of XMP tells; nothing of what it does not."""
    text = xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else xmp
    text = text[:_LARGEST]
    pitch, roll, yaw = (_angle(text, name) for name in ("Pitch", "Roll", "Yaw"))
    pix4d = _first(text, "Camera:Pitch")
    if pitch is None and pix4d is not None:
        pitch = pix4d - 90.0
        roll, yaw = _first(text, "Camera:Roll"), _first(text, "Camera:Yaw")
    return VendorData(
        latitude=_first(text, "drone-dji:GpsLatitude"),
        longitude=_first(text, "drone-dji:GpsLongitude", "drone-dji:GpsLongtitude"),
        altitude=_first(text, "drone-dji:AbsoluteAltitude"),
        relative_altitude=_first(text, r"[\w-]+:RelativeAltitude"),
        pitch=pitch,
        roll=roll,
        yaw=yaw,
    )


def _angle(text: str, name: str) -> float | None:
    return _first(text, f"drone-dji:Gimbal{name}Degree", f"drone-parrot:Camera{name}Degree")


def _first(text: str, *names: str) -> float | None:
    """The number of the first of these properties that is there."""
    for name in names:
        found = re.search(rf"\b{name}\s*(?:=\s*[\"']|>)\s*{_NUMBER}", text)
        if found and math.isfinite(value := float(found[1])):
            return value
    return None
