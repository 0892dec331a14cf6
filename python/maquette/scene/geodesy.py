"""Places on the Earth: geodetic coordinates, local east-north-up axes and UTM, all on WGS84.

Notation: φ latitude and λ longitude in degrees, h height above the ellipsoid in metres (or above
whatever the heights that come in count from: they are carried along). All arrays are float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_A, _F = 6378137.0, 1 / 298.257223563  # semi-major axis in metres, flattening
_E2 = _F * (2 - _F)
_E = np.sqrt(_E2)
_N = _F / (2 - _F)
_SCALE, _FALSE_EASTING, _FALSE_NORTHING = 0.9996, 500_000.0, 10_000_000.0
_RADIUS = _A / (1 + _N) * (1 + _N**2 / 4 + _N**4 / 64)  # of the rectified meridian
_ALPHA = (
    _N / 2 - 2 * _N**2 / 3 + 5 * _N**3 / 16 + 41 * _N**4 / 180,
    13 * _N**2 / 48 - 3 * _N**3 / 5 + 557 * _N**4 / 1440,
    61 * _N**3 / 240 - 103 * _N**4 / 140,
    49561 * _N**4 / 161280,
)
_BETA = (
    _N / 2 - 2 * _N**2 / 3 + 37 * _N**3 / 96 - _N**4 / 360,
    _N**2 / 48 + _N**3 / 15 - 437 * _N**4 / 1440,
    17 * _N**3 / 480 - 37 * _N**4 / 840,
    4397 * _N**4 / 161280,
)


def ecef_from_geodetic(places: ArrayLike) -> Floats:
    """Earth-centred coordinates [..., 3] in metres of places (φ, λ, h) [..., 3]."""
    given = np.asarray(places, dtype=np.float64)
    latitude, longitude = np.radians(given[..., 0]), np.radians(given[..., 1])
    height = given[..., 2]
    normal = _A / np.sqrt(1 - _E2 * np.sin(latitude) ** 2)
    level = (normal + height) * np.cos(latitude)
    z = (normal * (1 - _E2) + height) * np.sin(latitude)
    return np.stack([level * np.cos(longitude), level * np.sin(longitude), z], axis=-1)


def geodetic_from_ecef(points: ArrayLike) -> Floats:
    """Places (φ, λ, h) [..., 3] of earth-centred points [..., 3] in metres.

    Source: B. Bowring, "Transformation from spatial to geographical coordinates", 1976; his
    formula is iterated, which is exact to rounding near the ground after two rounds.
    """
    x, y, z = np.moveaxis(np.asarray(points, dtype=np.float64), -1, 0)
    level, b = np.hypot(x, y), _A * (1 - _F)
    reduced = np.arctan2(z * _A, level * b)
    for _ in range(3):
        latitude = np.arctan2(
            z + _E2 / (1 - _E2) * b * np.sin(reduced) ** 3, level - _E2 * _A * np.cos(reduced) ** 3
        )
        reduced = np.arctan2((1 - _F) * np.sin(latitude), np.cos(latitude))
    normal = _A / np.sqrt(1 - _E2 * np.sin(latitude) ** 2)
    # Exact at the poles as on the equator, where one of the two usual quotients is 0 / 0.
    height = level * np.cos(latitude) + z * np.sin(latitude) - _A**2 / normal
    return np.stack([np.degrees(latitude), np.degrees(np.arctan2(y, x)), height], axis=-1)


def ecef_from_enu(origin: ArrayLike) -> Floats:
    """The rotation [3, 3] whose columns are east, north and up at a place (φ, λ, h)."""
    latitude, longitude = np.radians(np.asarray(origin, dtype=np.float64)[:2])
    sin_phi, cos_phi = np.sin(latitude), np.cos(latitude)
    sin_lambda, cos_lambda = np.sin(longitude), np.cos(longitude)
    east = [-sin_lambda, cos_lambda, 0.0]
    north = [-sin_phi * cos_lambda, -sin_phi * sin_lambda, cos_phi]
    up = [cos_phi * cos_lambda, cos_phi * sin_lambda, sin_phi]
    return np.array([east, north, up]).T


def enu_from_geodetic(places: ArrayLike, origin: ArrayLike) -> Floats:
    """East, north and up [..., 3] in metres of places (φ, λ, h) [..., 3], seen from `origin`."""
    away = ecef_from_geodetic(places) - ecef_from_geodetic(origin)
    return np.asarray(away @ ecef_from_enu(origin))


def geodetic_from_enu(points: ArrayLike, origin: ArrayLike) -> Floats:
    """Places (φ, λ, h) [..., 3] of points in east, north and up [..., 3] of `origin`."""
    away = np.asarray(points, dtype=np.float64) @ ecef_from_enu(origin).T
    return geodetic_from_ecef(away + ecef_from_geodetic(origin))


@dataclass(frozen=True)
class Utm:
    """A zone of UTM, 1 to 60, north or south of the equator."""

    zone: int
    is_north: bool

    @classmethod
    def of(cls, latitude: float, longitude: float) -> Utm:
        """The zone of a place, with the exceptions of Norway and Svalbard."""
        zone = int((longitude + 180) // 6) % 60 + 1
        if 56 <= latitude < 64 and 3 <= longitude < 12:
            zone = 32
        if 72 <= latitude < 84 and 0 <= longitude < 42:
            zone = 31 + 2 * int((longitude + 3) // 12)
        return cls(zone, latitude >= 0)

    @classmethod
    def of_epsg(cls, epsg: int) -> Utm | None:
        """The zone of 32601 … 32660 and 32701 … 32760; None for another number."""
        hundreds, zone = divmod(epsg, 100)
        return cls(zone, hundreds == 326) if hundreds in (326, 327) and 1 <= zone <= 60 else None

    @property
    def epsg(self) -> int:
        """Its number among the reference systems of the EPSG."""
        return (32600 if self.is_north else 32700) + self.zone

    @property
    def name(self) -> str:
        """Its name there."""
        return f"WGS 84 / UTM zone {self.zone}{'N' if self.is_north else 'S'}"

    @property
    def meridian(self) -> float:
        """Its central meridian in degrees east."""
        return 6.0 * self.zone - 183.0

    def project(self, places: ArrayLike) -> Floats:
        """Easting, northing and height [..., 3] in metres of places (φ, λ, h) [..., 3].

        Source: C. Karney, "Transverse Mercator with an accuracy of a few nanometers", 2011,
        eqs. 7-11 and 35; differs: the series ends at the fourth power, below a micrometre.
        """
        given = np.asarray(places, dtype=np.float64)
        sine = np.sin(np.radians(given[..., 0]))
        turn = np.radians(given[..., 1] - self.meridian)
        conformal = np.sinh(np.arctanh(sine) - _E * np.arctanh(_E * sine))
        xi = np.arctan2(conformal, np.cos(turn))
        eta = np.arcsinh(np.sin(turn) / np.hypot(conformal, np.cos(turn)))
        north, east = xi.copy(), eta.copy()
        for order, factor in enumerate(_ALPHA, 1):
            north += factor * np.sin(2 * order * xi) * np.cosh(2 * order * eta)
            east += factor * np.cos(2 * order * xi) * np.sinh(2 * order * eta)
        easting = _FALSE_EASTING + _SCALE * _RADIUS * east
        northing = _SCALE * _RADIUS * north + (0.0 if self.is_north else _FALSE_NORTHING)
        return np.stack([easting, northing, given[..., 2]], axis=-1)

    def unproject(self, points: ArrayLike) -> Floats:
        """Places (φ, λ, h) [..., 3] of points in easting, northing and height [..., 3].

        Source: as `project`, eqs. 15-21 and 36.
        """
        given = np.asarray(points, dtype=np.float64)
        false_northing = 0.0 if self.is_north else _FALSE_NORTHING
        north = (given[..., 1] - false_northing) / (_SCALE * _RADIUS)
        east = (given[..., 0] - _FALSE_EASTING) / (_SCALE * _RADIUS)
        xi, eta = north.copy(), east.copy()
        for order, factor in enumerate(_BETA, 1):
            xi -= factor * np.sin(2 * order * north) * np.cosh(2 * order * east)
            eta -= factor * np.cos(2 * order * north) * np.sinh(2 * order * east)
        conformal = np.sin(xi) / np.hypot(np.sinh(eta), np.cos(xi))
        longitude = self.meridian + np.degrees(np.arctan2(np.sinh(eta), np.cos(xi)))
        latitude = np.degrees(np.arctan(_tangent(conformal)))
        return np.stack([latitude, longitude, given[..., 2]], axis=-1)


def _tangent(conformal: Floats) -> Floats:
    """Tan φ of tan χ, χ the conformal latitude: Newton's method, three rounds to rounding."""
    tangent = conformal / (1 - _E2)
    for _ in range(4):
        hypotenuse = np.sqrt(1 + tangent**2)
        sigma = np.sinh(_E * np.arctanh(_E * tangent / hypotenuse))
        found = tangent * np.sqrt(1 + sigma**2) - sigma * hypotenuse
        slope = (1 - _E2) * np.sqrt(1 + found**2) * hypotenuse / (1 + (1 - _E2) * tangent**2)
        tangent = tangent + (conformal - found) / slope
    return np.asarray(tangent)
