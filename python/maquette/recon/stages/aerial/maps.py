"""Stage `maps`: an ortho photo, a surface model and contours, in map coordinates where known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from maquette.errors import JobFailed
from maquette.recon import gpus
from maquette.recon.aerial import elevation, map_files
from maquette.recon.aerial.ground_mesh import ground_mesh
from maquette.recon.aerial.map_frame import MapFrame, map_frame
from maquette.recon.aerial.map_picture import draw
from maquette.recon.aerial.mapping import Map, MapOptions, make_map
from maquette.recon.mesh.gltf import write_glb
from maquette.recon.mesh.upright import up_direction
from maquette.recon.splats.trained import read_trained
from maquette.recon.stages.aerial import STAGES
from maquette.recon.views.views import Views
from maquette.scene import georeference, outputs, transforms
from maquette.scene.atomic import replacing
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["maps"]

_NO_PLACE = (
    "the scene lies nowhere on Earth: the maps are in its own axes, in {unit} "
    "(GPS in the photos or GCP= would place them)"
)
_TOO_HIGH = (
    "the surface rises {much:.3g} {unit} above the lowest camera: a hill beside the flight, or "
    "heights that are wrong"
)
_NO_GEOTIFF = (
    "maps have a world file, and no reference system in them: the part `geo` is not installed "
    "(pip install 'maquette-….whl[geo]')"
)


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `<MODEL>_ortho`, `_dsm`, `_contours.geojson`, `_map.png` and `_ground.glb`.

    Raises:
        BadInput: the master is damaged.
        JobFailed: nothing of it is seen from above.
    """
    cameras = transforms.read(scene.transforms)
    place = georeference.read(scene.georeference)
    up = up_direction(cameras.frames, cameras.up)
    frame = map_frame(place, up)
    splats = read_trained(scene.results / f"{scene.name}.ply").gaussians
    made = make_map(
        splats.to(gpus.device_of(options.gpus)), Views(scene, cameras.frames), frame,
        MapOptions(options.gsd, options.map_size, options.map_views, options.ortho == "photos"),
        progress.step,
    )  # fmt: skip
    if not np.isfinite(made.heights).any():
        raise JobFailed(
            f"nothing of `{scene.name}` is seen from above by {options.map_views} photos",
            detail=f"{len(splats):,} splats, {len(cameras.frames)} photos",
            hint="MAP_VIEWS=1 takes what one photo shows; UP= tells which way is up",
        )
    kinds = _write(scene, made, frame, options)
    ground = _stem(scene, "_ground.glb")
    write_glb(ground, ground_mesh(made.heights, made.grid, frame), up, scene.name)
    kinds[ground] = outputs.GROUND
    remarks = remarks_on(made, frame)
    for remark in remarks:
        progress.say(remark)
    return Report(list(kinds), numbers=_numbers(made, frame), kinds=kinds, remarks=remarks)


def remarks_on(made: Map, frame: MapFrame) -> list[str]:
    """What a person should know of a map."""
    remarks = [] if frame.epsg else [_NO_PLACE.format(unit=frame.unit)]
    remarks += [] if map_files.has_geotiff() else [_NO_GEOTIFF]
    if made.above_lowest_camera > 0:
        remarks.append(_TOO_HIGH.format(much=made.above_lowest_camera, unit=frame.unit))
    return remarks


def _write(scene: Scene, made: Map, frame: MapFrame, options: DeclaredOptions) -> dict[Path, str]:
    for name in ("_ortho", "_dsm"):
        for suffix in map_files.SUFFIXES:
            _stem(scene, name + suffix).unlink(missing_ok=True)  # of another installation
    paths = map_files.write_colors(_stem(scene, "_ortho"), made.colors, made.grid, frame)
    paths += map_files.write_heights(_stem(scene, "_dsm"), made.heights, made.grid, frame)
    interval = options.contour_interval or elevation.interval_for(made.heights)
    lines = elevation.contours(made.heights, made.grid, interval, float(frame.offset[2]))
    contours = _stem(scene, "_contours.geojson")
    paths.append(map_files.write_contours(contours, lines, frame, interval))
    kinds = dict.fromkeys(paths, outputs.OTHER)
    picture = _stem(scene, "_map.png")
    with replacing(picture) as temporary:
        draw(made, lines).save(temporary)
    return kinds | {picture: outputs.PICTURE}


def _stem(scene: Scene, ending: str) -> Path:
    return scene.results / f"{scene.name}{ending}"


def _numbers(made: Map, frame: MapFrame) -> dict[str, Any]:
    known = made.heights[np.isfinite(made.heights)]
    low, high = (float(value) + float(frame.offset[2]) for value in (known.min(), known.max()))
    return {
        "gsd": round(made.grid.size, 5),
        "unit": frame.unit,
        "epsg": frame.epsg,
        "width": made.grid.columns,
        "height": made.grid.rows,
        "mapped_share": round(len(known) / made.heights.size, 4),
        "lowest": round(low, 3),
        "highest": round(high, 3),
        "flying_height": round(made.flying_height, 3),
    }
