"""Stages of the neural surface: training, its mesh, and pictures of that."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from maquette.errors import ConfigError
from maquette.recon.mvs.fused_files import found_points
from maquette.scene import checkpoints
from maquette.scene.checkpoints import Choice
from maquette.scene.paths import Scene
from maquette.stages.declaring import deferred, deferred_shards, named, one_gpu
from maquette.stages.stage import DeclaredOptions, Stage


def chosen_checkpoint(scene: Scene, options: Any) -> Choice:
    """The checkpoint to extract, named from the scene's own root.

    Raises:
        NotFound: there is no such checkpoint.
        ConfigError: it lies outside the scene, so the result could not be traced to it.
    """
    choice = checkpoints.chosen(scene.run(options.group), options.checkpoint)
    root, path = scene.root.resolve(), choice.path.resolve()
    if not path.is_relative_to(root):
        raise ConfigError(
            f"the checkpoint lies outside the scene: `{choice.path}`",
            hint=f"copy it to `{scene.run(options.group)}`",
        )
    return Choice(scene.root / path.relative_to(root), choice.remark)


def _trained_on(scene: Scene, options: DeclaredOptions) -> Iterable[Path]:
    given: list[Path | None] = [scene.config]
    if options.dense == "auto":
        given.append(found_points(scene, options.group))
    return [path for path in given if path is not None and path.exists()]


STAGES = named(
    Stage(
        "train",
        1,
        deferred(__name__, "train"),
        parameters=("group", "iterations", "preset", "seed", "overrides"),
        reads=("dense", "gpus", "fresh", "checkpoint", "save_minutes", "wandb"),
        facts=("cameras", "region", "masks"),
        files=_trained_on,
        packages=("torch",),
    ),
    Stage(
        "mesh",
        4,
        deferred_shards(__name__, "mesh", lists_inputs=True, needs=one_gpu),
        parameters=(
            "group",
            "resolution",
            "block_res",
            "checkpoint",
            "textured",
            "keep_lcc",
            "unseen",
        ),
        reads=("workers", "gpus"),
        facts=("cameras", "region", "masks", "georeference"),
        files=lambda scene, options: (chosen_checkpoint(scene, options).path,),
        packages=("torch", "scikit-image", "trimesh", "embreex"),
        keeps_shards=False,
    ),
    Stage(
        "pictures",
        3,
        deferred(__name__, "pictures"),
        after=("mesh",),
        facts=("cameras", "region", "georeference"),
        packages=("embreex", "pillow", "plyfile", "trimesh"),
    ),
)
