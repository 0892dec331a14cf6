"""The reference systems that lists of ground control points name in their first line."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maquette.errors import BadInput
from maquette.scene.geodesy import Utm

Floats = NDArray[np.float64]
_DEGREES = (4326, 4979, 4258, 6318)  # WGS 84, ETRS89 and NAD83(2011): the same to a metre or two
# UTM on other frames that lie within a metre or two of WGS 84: ETRS89 and NAD83.
_LIKE_UTM = {25800: range(28, 39), 26900: range(1, 24)}


@dataclass(frozen=True)
class ReferenceSystem:
    """How three numbers tell a place: longitude, latitude, height, or those of a zone of UTM."""

    utm: Utm | None

    def geodetic(self, points: ArrayLike) -> Floats:
        """Latitude, longitude and height [..., 3] of points as the list writes them."""
        given = np.asarray(points, dtype=np.float64)
        return given[..., [1, 0, 2]] if self.utm is None else self.utm.unproject(given)


def parse(line: str) -> ReferenceSystem:
    """Read `EPSG:32615`, `WGS84 UTM 15N`, `+proj=utm +zone=15 +south`, `+proj=longlat` …

    Raises:
        BadInput: it is none that is known here.
    """
    text = line.strip()
    if found := re.fullmatch(r"EPSG:\s*(\d+)", text, re.IGNORECASE):
        return _of_epsg(int(found[1]), text)
    if found := re.search(r"UTM\s+(?:zone\s+)?(\d{1,2})\s*([NS])\b", text, re.IGNORECASE):
        return ReferenceSystem(_zone(int(found[1]), found[2].upper() == "N", text))
    if "+proj=utm" in text and (found := re.search(r"\+zone=(\d{1,2})\b", text)):
        return ReferenceSystem(_zone(int(found[1]), "+south" not in text, text))
    if re.search(r"\+proj=(longlat|latlong)", text):
        return ReferenceSystem(None)
    raise _unknown(text)


def _of_epsg(number: int, text: str) -> ReferenceSystem:
    if number in _DEGREES:
        return ReferenceSystem(None)
    if utm := Utm.of_epsg(number):
        return ReferenceSystem(utm)
    zone = number % 100
    if zone in _LIKE_UTM.get(number - zone, ()):
        return ReferenceSystem(Utm(zone, is_north=True))
    raise _unknown(text)


def _zone(number: int, is_north: bool, text: str) -> Utm:
    if not 1 <= number <= 60:
        raise _unknown(text)
    return Utm(number, is_north)


def _unknown(text: str) -> BadInput:
    return BadInput(
        f"the first line of the control points names no reference system known here: `{text[:80]}`",
        hint="convert them to UTM (EPSG:32615, `WGS84 UTM 15N`) or to longitude and latitude "
        "(EPSG:4326), for instance with `cs2cs`",
    )
