"""Stage `laz`: the fused points in map coordinates, where the scene has a georeference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maquette.recon.geometry.points import PointCloud
from maquette.recon.mvs.colmap_files import read_fused
from maquette.recon.mvs.fused_files import fused_file
from maquette.recon.places.laz import write_laz
from maquette.recon.stages.dense import STAGES
from maquette.scene import georeference, outputs
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["laz"]

_MISSING = (
    "no points in map coordinates: the part `geo` is not installed "
    "(pip install 'maquette-….whl[geo]')"
)


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `<MODEL>.laz`; a scene that lies nowhere on Earth gets none."""
    path = scene.results / f"{scene.name}.laz"
    place = georeference.read(scene.georeference).georeference
    if place is None:
        path.unlink(missing_ok=True)
        return Report(())
    cloud = read_fused(fused_file(scene.dense(options.group)))
    try:
        write_laz(path, cloud.points, colors_of(cloud), place)
    except ModuleNotFoundError:
        path.unlink(missing_ok=True)
        progress.say(_MISSING)
        return Report((), remarks=[_MISSING])
    numbers = {"points": len(cloud.points), "epsg": place.utm.epsg}
    return Report([path], numbers=numbers, kinds={path: outputs.OTHER})


def colors_of(cloud: PointCloud) -> NDArray[np.uint8]:
    """Colours [P, 3]; black where the points have none."""
    return np.zeros(cloud.points.shape, np.uint8) if cloud.colors is None else cloud.colors
