"""Stages of drone photos from above."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from maquette.scene import checkpoints
from maquette.scene.paths import Scene
from maquette.stages.declaring import deferred, named
from maquette.stages.stage import DeclaredOptions, Stage

_OWN = (
    "altitudes", "iterations", "views", "size", "fov", "overlap", "inset", "densify",
    "min_opacity", "max_elongation", "largest",
)  # fmt: skip


def _checkpoint(scene: Scene, options: DeclaredOptions) -> Iterable[Path]:
    """The newest checkpoint, where it is needed."""
    choice = checkpoints.newest(scene.run(options.group)) if options.descent else None
    return [choice.path] if choice is not None else []


def _check_levels(scene: Scene, options: DeclaredOptions) -> None:
    if options.descent:
        deferred(__name__, "descent", "check")(scene, options)


STAGES = named(
    Stage(
        "descent",
        1,
        deferred(__name__, "descent"),
        parameters=("group", "seed", "descent", *(f"descent_{name}" for name in _OWN)),
        reads=("gpus",),
        after=("train",),
        facts=("cameras", "masks", "georeference"),
        files=_checkpoint,
        check=_check_levels,
        packages=("torch", "warp-lang"),
    ),
    Stage(
        "maps",
        1,
        deferred(__name__, "maps"),
        parameters=("ortho", "gsd", "map_size", "map_views", "contour_interval"),
        reads=("gpus",),
        after=("clean",),
        facts=("cameras", "masks", "georeference"),
        packages=("pillow", "scikit-image", "scipy", "torch", "warp-lang"),
    ),
)
