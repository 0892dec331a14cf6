"""`georeference.json`: where a scene lies on Earth, how large it is, and which way is up.

COLMAP's world is not moved: the file holds the transform from it. Frames: "world" is COLMAP's;
"enu" has x east, y north, z up in metres, at an origin (latitude, longitude, height).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maquette.errors import BadInput
from maquette.scene import geodesy
from maquette.scene.geodesy import Utm

Floats = NDArray[np.float64]
FILE = "georeference.json"
SCHEMA_VERSION = 1
TELLING = ("up", "metres_per_unit", "georeference")  # what later stages read
_Y_UP_FROM_ENU = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])


@dataclass(frozen=True)
class Georeference:
    """Where the world lies on Earth.

    Attributes:
        utm: The zone in which coordinates are given.
        origin: Latitude, longitude in degrees and height in metres, [3].
        enu_from_world: A similarity, [4, 4] float64, metres a unit.
    """

    utm: Utm
    origin: Floats
    enu_from_world: Floats

    @property
    def metres_per_unit(self) -> float:
        """The length of a unit of the world."""
        return float(np.cbrt(np.linalg.det(self.enu_from_world[:3, :3])))

    @property
    def up(self) -> Floats:
        """The direction away from the Earth, [3] of length 1, world frame."""
        return np.asarray(self.enu_from_world[2, :3] / self.metres_per_unit)

    @property
    def projected_origin(self) -> Floats:
        """Easting, northing and height of the origin, [3], in metres."""
        return self.utm.project(self.origin)

    def enu(self, points: ArrayLike) -> Floats:
        """World points [..., 3] in east, north and up, metres from the origin."""
        turned = np.asarray(points, dtype=np.float64) @ self.enu_from_world[:3, :3].T
        return np.asarray(turned + self.enu_from_world[:3, 3])

    def geodetic(self, points: ArrayLike) -> Floats:
        """World points [..., 3] as latitude and longitude in degrees, and height in metres."""
        return geodesy.geodetic_from_enu(self.enu(points), self.origin)

    def projected(self, points: ArrayLike) -> Floats:
        """World points [..., 3] as easting, northing and height in the zone, metres, float64."""
        return self.utm.project(self.geodetic(points))

    def as_document(self) -> dict[str, Any]:
        """Its JSON."""
        latitude, longitude, height = (float(value) for value in self.origin)
        return {
            "epsg": self.utm.epsg,
            "reference_system": self.utm.name,
            "origin": [round(float(value), 6) for value in self.projected_origin],
            "origin_geodetic": {
                "latitude": latitude, "longitude": longitude, "height_m": height,
            },
            "enu_from_world": self.enu_from_world.tolist(),
        }  # fmt: skip

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Georeference:
        """What `as_document` wrote; ValueError, KeyError, TypeError where it is garbled."""
        utm = Utm.of_epsg(document["epsg"])
        place = document["origin_geodetic"]
        origin = np.array([place["latitude"], place["longitude"], place["height_m"]], float)
        matrix = np.asarray(document["enu_from_world"], dtype=np.float64)
        if utm is None or matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise ValueError("its transform or reference system")
        return cls(utm, origin, matrix)


@dataclass(frozen=True)
class Place:
    """What is known of a scene's place.

    Attributes:
        up: World direction [3]; None: nothing tells more than the cameras do.
        metres_per_unit: None: no scale is known.
    """

    up: Floats | None = None
    metres_per_unit: float | None = None
    georeference: Georeference | None = None

    def as_extras(self) -> dict[str, Any]:
        """What files of other forms carry along: scale, and the offset of a local origin."""
        extras: dict[str, Any] = {}
        if self.metres_per_unit is not None:
            extras["metres_per_unit"] = self.metres_per_unit
        if self.georeference is not None:
            extras["georeference"] = self.georeference.as_document()
        return extras


def read(path: Path) -> Place:
    """Read `georeference.json`; where there is none, nothing is known.

    Raises:
        BadInput: it is damaged.
    """
    if not path.is_file():
        return Place()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        found, up, metres = (document.get(name) for name in ("georeference", "up", TELLING[1]))
        return Place(
            None if up is None else np.asarray(up, dtype=np.float64).reshape(3),
            None if metres is None else float(metres),
            None if found is None else Georeference.from_document(found),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"`{path}` lacks or garbles a key: {error}",
            hint="run `make prepare` again with FORCE_STAGE=georeference",
        ) from error


def gltf_from_world(up: Floats, place: Place) -> Floats:
    """The matrix [4, 4] that sets a world upright as glTF wants it: +y up, metres where known.

    With a georeference x points east and z south, and the origin is that of `georeference.json`.
    Without one it turns `up` [3] to +y in the smallest way, and scales if the scale is known.
    """
    matrix, found = np.eye(4), place.georeference
    if found is not None and np.allclose(up, found.up, atol=1e-9):
        matrix[:3] = _Y_UP_FROM_ENU @ found.enu_from_world[:3]
        return matrix
    scale = place.metres_per_unit or 1.0
    matrix[:3, :3] = scale * rotation_between(up / np.linalg.norm(up), np.array([0.0, 1.0, 0.0]))
    return matrix


def rotation_between(start: NDArray[np.floating], end: NDArray[np.floating]) -> Floats:
    """The smallest rotation [3, 3] that turns unit vector `start` into `end`."""
    cosine = float(start @ end)
    if cosine < -1 + 1e-12:  # opposite: half a turn about any perpendicular axis
        axis = np.cross(start, np.eye(3)[np.argmin(np.abs(start))])
        axis /= np.linalg.norm(axis)
        return np.asarray(2 * np.outer(axis, axis) - np.eye(3))
    x, y, z = np.cross(start, end)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + cosine))
