"""Stage `undistort`: `images/` and `sparse/0`, a COLMAP workspace with pinhole cameras."""

from __future__ import annotations

import shutil

from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.frames.folders import put_in_place, recover, replacing_folder
from maquette.recon.sfm import undistortion
from maquette.recon.sfm.colmap import read_model
from maquette.recon.stages.common import STAGES
from maquette.scene import masks
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import Report

STAGE = STAGES["undistort"]


def run(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
    """Undistort the pictures that have a pose, and their masks if there are any."""
    workspace = scene.root / ".undistorting"
    shutil.rmtree(workspace, ignore_errors=True)
    workspace.mkdir()
    try:
        undistortion.undistort(scene.distorted, scene.images_raw, workspace)
        for name in ("images", "sparse"):
            recover(scene.root / name)
            put_in_place(workspace / name, scene.root / name)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
    made_masks = _masks(scene)
    model = read_model(scene.sparse, "run the same command again")
    camera = next(iter(model.cameras.values()))
    numbers = {
        "images": model.num_reg_images(),
        "cameras": model.num_cameras(),
        "width": camera.width,
        "height": camera.height,
        "masks": made_masks,
    }
    sparse = [scene.sparse / name for name in ("cameras.bin", "images.bin", "points3D.bin")]
    return Report([*sorted(scene.images.iterdir()), *sparse], numbers=numbers)


def _masks(scene: Scene) -> int:
    found = masks.raw(scene).by_picture
    if not found:
        shutil.rmtree(scene.masks_undistorted, ignore_errors=True)
        return 0
    with replacing_folder(scene.masks_undistorted) as target:
        made = undistortion.undistort_masks(scene.distorted, dict(found), target)
        masks.note_sources(target, found)
        return len(made)
