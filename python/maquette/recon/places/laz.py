"""Points as LAZ in the coordinates of a zone of UTM, as maps and surveyors' programs read them.

`laspy` and `lazrs` write it, which the part `geo` of maquette's installation brings.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maquette.scene.atomic import replacing
from maquette.scene.georeference import Georeference

Floats = NDArray[np.float64]
STEP_M = 0.001  # to which coordinates are kept
_WKT_RECORD, _OWNER = 2112, "LASF_Projection"
_WKT = (
    'PROJCS["{name}",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433],AUTHORITY["EPSG","4326"]],'
    'PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],'
    'PARAMETER["central_meridian",{meridian:g}],PARAMETER["scale_factor",0.9996],'
    'PARAMETER["false_easting",500000],PARAMETER["false_northing",{northing}],'
    'UNIT["metre",1],AUTHORITY["EPSG","{epsg}"]]'
)


def write_laz(path: Path, points: Floats, colors: NDArray[np.uint8], place: Georeference) -> None:
    """Write points [P, 3] of the world with 8-bit RGB [P, 3], whole or not at all.

    Raises:
        ModuleNotFoundError: the part `geo` is not installed.
    """
    import laspy

    projected = place.projected(points)
    header = laspy.LasHeader(point_format=7, version="1.4")
    header.scales = np.full(3, STEP_M)
    header.offsets = np.floor(projected.min(axis=0)) if len(points) else place.projected_origin
    header.global_encoding.wkt = True
    northing = 0 if place.utm.is_north else 10_000_000
    text = _WKT.format(
        name=place.utm.name, meridian=place.utm.meridian, northing=northing, epsg=place.utm.epsg
    )
    record = laspy.VLR(_OWNER, _WKT_RECORD, "", text.encode() + b"\0")
    header.vlrs.append(record)
    cloud = laspy.LasData(header)
    cloud.x, cloud.y, cloud.z = projected.T
    cloud.red, cloud.green, cloud.blue = (colors.astype(np.uint16) * 257).T
    with replacing(path) as temporary, open(temporary, "wb") as file:
        cloud.write(file, do_compress=True)
