"""Stage `features`: a new `database.db` with cameras, images and SIFT features."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.frames.folders import replacing_file
from maquette.recon.sfm import cameras, colmap, features
from maquette.recon.sfm.features import Effort, FeatureOptions
from maquette.recon.sfm.masks import for_colmap
from maquette.scene import masks
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import Report, Stage


def run(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
    """Find the features of every picture of `images_raw/`."""
    names = sorted(path.name for path in scene.images_raw.glob("*.jpg"))
    with replacing_file(scene.database) as database, for_colmap(scene) as mask_folder:
        effort = Effort.usual(len(names))
        camera = cameras.known(scene, options.camera_model, options.camera_params)
        chosen = FeatureOptions(*camera, options.seed)
        features.extract(database, scene.images_raw, names, chosen, effort, mask_folder, progress)
        colmap.settle(database)
        numbers = features.counts(database)
    matched = masks.raw(scene)
    numbers["masks"] = len(matched.by_picture)
    for remark in matched.remarks():
        progress.say(remark)
    return Report((), mutable=[scene.database], numbers=numbers, remarks=matched.remarks())


def mask_files(scene: Scene, options: PrepareOptions) -> Iterable[Path]:
    """Masks are part of the key: the person's, and those that came with the photos."""
    folders = (scene.masks, scene.masks_input)
    return sorted(path for folder in folders for path in folder.glob("*.png"))


STAGE = Stage(
    "features",
    1,
    run,
    parameters=("camera_model", "camera_params", "seed"),
    after=("frames",),
    files=mask_files,
    packages=("pycolmap",),
)
