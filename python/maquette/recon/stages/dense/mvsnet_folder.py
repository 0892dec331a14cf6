"""Stage `mvsnet_folder`: depth maps as MVSNet leaves them, for programs that read that form."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maquette.recon.mvs.colmap_files import confidence_file, read_confidence, read_depths
from maquette.recon.mvs.neighbours import write_pairs
from maquette.recon.mvs.shards import Material
from maquette.recon.mvsnet import pfm
from maquette.recon.mvsnet.folder_form import CAMERAS, PAIRS, view_file, write_camera
from maquette.recon.stages.dense import STAGES
from maquette.scene.atomic import replacing, write_text
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["mvsnet_folder"]

FOLDER = "mvsnet"
_IMAGES, _DEPTHS, _NAMES = "images", "depths_mvsnet", "names.txt"
_QUALITY = 95


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `mvsnet/` among the results: pictures of the maps' size, cameras, pairs, maps as PFM.

    Without MVSNET_FOLDER=1 there is none.
    """
    folder = scene.results / FOLDER
    if not options.mvsnet_folder:
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier run
        return Report([])
    material = Material.of(scene, options.group)
    plan = material.plan
    for view in plan.views:
        progress.step("views", plan.views.index(view), len(plan.views))
        _write_maps(folder / _DEPTHS, view, material)
    usual = plan.spans[plan.views[0]]
    assert usual is not None
    for number, frame in enumerate(material.frames):
        write_camera(folder / CAMERAS, number, frame, plan.spans[number] or usual)
        with replacing(view_file(folder / _IMAGES, number, ".jpg")) as temporary:
            Image.fromarray(material.views.image(number)).save(temporary, quality=_QUALITY)
    write_pairs(folder / PAIRS, plan.pairs)
    write_text(folder / _NAMES, "".join(f"{name}\n" for name in plan.names))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return Report(files, numbers={"views": len(plan.views)})


def _write_maps(folder: Path, view: int, material: Material) -> None:
    """Write a view's depths and how sure they are: 1 where a map tells no confidence."""
    name = material.plan.names[view]
    depth = read_depths(material.stereo, name, "photometric")
    sure: NDArray[np.float32] = (depth > 0).astype(np.float32)
    if confidence_file(material.stereo, name).is_file():
        sure *= read_confidence(material.stereo, name)
    pfm.write(view_file(folder, view, ".pfm"), depth)
    pfm.write(view_file(folder, view, "_prob.pfm"), sure)
