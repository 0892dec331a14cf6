"""Maps as files of geographic programs: GeoTIFF with the part `geo`, else with a world file.

A world file beside a picture holds six numbers, the size of a pixel and the middle of the first
one; it does not tell the reference system.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maquette.recon.aerial.elevation import Contour
from maquette.recon.aerial.grids import Grid
from maquette.recon.aerial.map_frame import MapFrame
from maquette.scene.atomic import replacing
from maquette.scene.geodesy import Utm

NO_DATA = -9999.0
SUFFIXES = (".tif", ".tfw", ".png", ".pgw")


def has_geotiff() -> bool:
    """Whether what writes GeoTIFF is installed."""
    try:
        import rasterio  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


def write_colors(
    stem: Path, colors: NDArray[np.floating], grid: Grid, frame: MapFrame
) -> list[Path]:
    """Write an ortho photo: colours [H, W, 3] sRGB 0..1, NaN = nothing, which becomes clear."""
    is_there = np.isfinite(colors).all(axis=2)
    pixels = np.zeros((*is_there.shape, 4), np.uint8)
    pixels[is_there, :3] = np.round(np.clip(colors[is_there], 0, 1) * 255)
    pixels[..., 3] = 255 * is_there
    if has_geotiff():
        return [_write_geotiff(_suffixed(stem, ".tif"), np.moveaxis(pixels, 2, 0), grid, frame)]
    path = _suffixed(stem, ".png")
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="png")
    return [path, _write_world(_suffixed(stem, ".pgw"), grid, frame)]


def write_heights(
    stem: Path, heights: NDArray[np.floating], grid: Grid, frame: MapFrame
) -> list[Path]:
    """Write a surface model: heights [H, W] of the map without its offset, NaN = nothing."""
    whole = heights + frame.offset[2]
    values = np.where(np.isfinite(whole), whole, NO_DATA).astype(np.float32)
    path = _suffixed(stem, ".tif")
    if has_geotiff():
        return [_write_geotiff(path, values[None], grid, frame, nodata=NO_DATA)]
    with replacing(path) as temporary:
        Image.fromarray(values, mode="F").save(temporary, format="tiff")
    return [path, _write_world(_suffixed(stem, ".tfw"), grid, frame)]


def write_contours(path: Path, lines: Sequence[Contour], frame: MapFrame, interval: float) -> Path:
    """Write contours as GeoJSON: in longitude and latitude, or in the scene's own frame."""
    utm = None if frame.epsg is None else Utm.of_epsg(frame.epsg)
    features = []
    for contour in lines:
        places = contour.line + frame.offset[:2]
        if utm is not None:
            heights = np.full(len(places), contour.height)
            places = utm.unproject(np.column_stack([places, heights]))[:, 1::-1]
        digits = 8 if utm is not None else 4
        features.append({
            "type": "Feature", "properties": {"height": round(contour.height, 6)},
            "geometry": {"type": "LineString", "coordinates": places.round(digits).tolist()},
        })  # fmt: skip
    document: dict[str, Any] = {"type": "FeatureCollection", "interval": interval}
    if utm is None:
        document["coordinates"] = f"the scene's own frame, x and y across its up, in {frame.unit}"
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document | {"features": features}), encoding="utf-8")
    return path


def _write_geotiff(
    path: Path, bands: NDArray[Any], grid: Grid, frame: MapFrame, nodata: float | None = None
) -> Path:
    import rasterio
    from rasterio.transform import from_origin

    west, north = grid.west + frame.offset[0], grid.north + frame.offset[1]
    facts = {
        "driver": "GTiff", "width": grid.columns, "height": grid.rows, "count": len(bands),
        "dtype": bands.dtype, "crs": None if frame.epsg is None else f"EPSG:{frame.epsg}",
        "transform": from_origin(west, north, grid.size, grid.size), "nodata": nodata,
        "compress": "deflate", "predictor": 3 if bands.dtype.kind == "f" else 2, "tiled": True,
    }  # fmt: skip
    with replacing(path) as temporary, rasterio.open(temporary, "w", **facts) as file:
        file.write(bands)
        if frame.unit == "m" and nodata is not None:
            file.set_band_unit(1, "metre")
    return path


def _write_world(path: Path, grid: Grid, frame: MapFrame) -> Path:
    x, y = grid.centers()
    numbers = (grid.size, 0.0, 0.0, -grid.size, x[0] + frame.offset[0], y[0] + frame.offset[1])
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{number:.9f}\n" for number in numbers), encoding="ascii")
    return path


def _suffixed(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)
