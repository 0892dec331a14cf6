"""Stages of Gaussian splats."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from maquette.errors import NotFound, shown_path
from maquette.recon.mvs.fused_files import found_points
from maquette.recon.splats.run_files import newest
from maquette.scene import checkpoints
from maquette.scene.paths import Scene
from maquette.stages.declaring import deferred, named
from maquette.stages.stage import DeclaredOptions, Stage


def _trained_on(scene: Scene, options: DeclaredOptions) -> Iterable[Path]:
    given = found_points(scene, options.group), scene.sparse / "points3D.bin"
    return [path for path in given if path is not None and path.exists()]


def trained_file(scene: Scene, options: DeclaredOptions) -> Path:
    """The chosen checkpoint, or the newest.

    Raises:
        NotFound: there is none.
    """
    run = scene.run(options.group)
    path = checkpoints.chosen(run, options.checkpoint).path if options.checkpoint else newest(run)
    if path is None:
        raise NotFound(
            f"no splats were trained yet: `{shown_path(run)}`",
            hint=f"run `make process PIPELINE={scene.pipeline} MODEL={scene.name}` first",
        )
    return path


def ground_file(scene: Scene) -> Path:
    """The mesh to walk on, where a stage made one."""
    return scene.results / f"{scene.name}_ground.glb"


STAGES = named(
    Stage(
        "train",
        2,
        deferred(__name__, "train"),
        parameters=(
            "group",
            "iterations",
            "preset",
            "cap",
            "strategy",
            "degree",
            "background",
            "auto_exposure_wb",
            "refine_poses",
            "depth_weight",
            "seed",
        ),
        reads=("gpus", "fresh", "checkpoint", "save_minutes", "wandb"),
        added=("batch", "normal_weight"),
        facts=("cameras", "sphere", "masks"),
        files=_trained_on,
        packages=("torch", "warp-lang"),
    ),
    Stage(
        "clean",
        3,
        deferred(__name__, "clean"),
        parameters=("group", "checkpoint", "crop", "min_opacity", "max_elongation", "prune_ratio"),
        facts=("cameras", "region"),
        files=lambda scene, options: (trained_file(scene, options),),
        packages=("scipy", "torch"),
    ),
    Stage(
        "mesh",
        2,
        deferred(__name__, "mesh"),
        parameters=("with_mesh", "resolution"),
        reads=("gpus",),
        after=("clean",),
        facts=("cameras", "region", "masks", "georeference"),
        packages=("torch", "warp-lang", "scikit-image", "scipy", "trimesh"),
    ),
    Stage(
        "export",
        4,
        deferred(__name__, "export"),
        parameters=("formats", "size_limit", "scene_scale", "content_license", "seed"),
        added=("streamed",),
        after=("clean", "mesh"),
        facts=("cameras", "region", "georeference"),
        files=lambda scene, options: filter(Path.is_file, (ground_file(scene),)),
        packages=("pillow", "torch"),
    ),
    Stage(
        "pictures",
        1,
        deferred(__name__, "pictures"),
        parameters=("group", "movie"),
        after=("clean",),
        facts=("cameras", "region", "georeference"),
        packages=("av", "pillow", "torch"),
    ),
)
