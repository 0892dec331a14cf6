"""The frame of maps: x east, y north, z up, in which pictures from straight above are drawn.

With a georeference x and y are easting and northing of its zone of UTM and z is the height, in
metres. Without one the world is only set upright, in metres where its scale is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maquette.scene.georeference import Place, rotation_between

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MapFrame:
    """How a world becomes a map.

    Attributes:
        map_from_world: [4, 4]; its axes are at right angles. The projection of a zone is taken as
            straight: 500 m from the origin heights are 2 cm off by the Earth's curve.
        offset: What is added to give whole coordinates, [3]; kept apart, so that float32 is enough.
        epsg: The number of the reference system; None: it is nowhere on Earth.
        unit: `m`, or `units` of the scene where no scale is known.
    """

    map_from_world: Floats
    offset: Floats
    epsg: int | None
    unit: str

    @property
    def axes(self) -> Floats:
        """East, north and up as unit vectors of the world, by rows [3, 3]."""
        left, _, right = np.linalg.svd(self.map_from_world[:3, :3])
        return np.asarray(left @ right)

    @property
    def scales(self) -> Floats:
        """Units of the map along east, north and up in a unit of the world, [3]."""
        return np.linalg.norm(self.map_from_world[:3, :3], axis=1)

    def mapped(self, points: ArrayLike) -> Floats:
        """World points [..., 3] in the map, without its offset."""
        matrix = self.map_from_world
        return np.asarray(np.asarray(points, np.float64) @ matrix[:3, :3].T + matrix[:3, 3])

    def world(self, places: ArrayLike) -> Floats:
        """Places of the map [..., 3], without its offset, in the world."""
        back = np.linalg.inv(self.map_from_world)
        return np.asarray(np.asarray(places, np.float64) @ back[:3, :3].T + back[:3, 3])


def map_frame(place: Place, up: Floats) -> MapFrame:
    """The frame that suits what is known of a scene's place.

    Args:
        up: World direction that is up, [3]; it counts where there is no georeference.
    """
    found, matrix = place.georeference, np.eye(4)
    if found is None:
        scale = place.metres_per_unit or 1.0
        matrix[:3, :3] = scale * rotation_between(up / np.linalg.norm(up), np.array([0, 0, 1.0]))
        return MapFrame(matrix, np.zeros(3), None, "m" if place.metres_per_unit else "units")
    middle = np.linalg.inv(found.enu_from_world)[:3, 3]
    steps = np.eye(3) / found.metres_per_unit
    ahead, behind = found.projected(middle + steps), found.projected(middle - steps)
    matrix[:3, :3] = ((ahead - behind) / 2 * found.metres_per_unit).T
    matrix[:3, 3] = -matrix[:3, :3] @ middle
    return MapFrame(matrix, found.projected_origin, found.utm.epsg, "m")
