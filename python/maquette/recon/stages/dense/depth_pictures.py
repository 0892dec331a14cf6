"""Stage `depth_pictures`: some filtered depth maps beside their photos, as one picture."""

from __future__ import annotations

import numpy as np

from maquette.recon.mvs.colmap_files import read_filtered_depth
from maquette.recon.mvs.shards import Material
from maquette.recon.pictures.depth_maps import sheet
from maquette.recon.stages.dense import STAGES
from maquette.scene import outputs
from maquette.scene.atomic import replacing
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["depth_pictures"]

_MOST = 8  # views that are shown


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `depth_maps.png`: views spread evenly over the plan's."""
    material = Material.of(scene, options.group)
    views = material.plan.views
    count = min(_MOST, len(views))
    chosen = [views[place] for place in np.linspace(0, len(views) - 1, count).round().astype(int)]
    names = [material.plan.names[view] for view in chosen]
    depths = [read_filtered_depth(material.stereo, name) for name in names]
    path = scene.results / "depth_maps.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        drawn = sheet([material.views.image(view) for view in chosen], depths)
        drawn.save(temporary, format="PNG")
    progress.step("depth maps", count, count)
    return Report([path], numbers={"shown": count}, kinds={path: outputs.PICTURE})
