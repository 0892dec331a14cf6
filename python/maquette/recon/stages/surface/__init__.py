"""Stages of the neural surface: training, its mesh, and pictures of that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from maquette.errors import ConfigError
from maquette.pipelines.dense import TrainingPoints
from maquette.pipelines.neuralangelo.options import ProcessOptions
from maquette.recon.mvs.fused_files import found_points, free_space_file, fused_file, sky_file
from maquette.recon.stages import dense
from maquette.scene import checkpoints, colmap_model, stage_records, transforms
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


def points_to_train_on(scene: Scene, group: str) -> Path | None:
    """The points of another pipeline's dense stereo, or the quick ones of this one's."""
    quick = fused_file(scene.dense(group), is_for_training=True)
    stands = stage_records.read(scene, "fuse") is not None and quick.is_file()
    return _points_of_others(scene, group) or (quick if stands else None)


def _points_of_others(scene: Scene, group: str) -> Path | None:
    """Those of another pipeline, unless its depth maps are smaller than the quick ones would be."""
    from maquette.recon.mvs.plan import TRAINING, VIEWS, read_plan

    found = found_points(scene, group)
    if found is None or not (found.parent / VIEWS).is_file():
        return found
    cameras = [frame.intrinsics for frame in transforms.read(scene.transforms).frames]
    photos = max(max(camera.width, camera.height) for camera in cameras)
    is_coarse = read_plan(found.parent).long_side < min(photos, TRAINING.least_side)
    return None if is_coarse else found


def _trained_on(scene: Scene, options: DeclaredOptions) -> Iterable[Path]:
    given: list[Path | None] = [scene.config]
    if options.dense == "auto":
        points = points_to_train_on(scene, options.group)
        given += [points, points and free_space_file(points), points and sky_file(points)]
    return [path for path in given if path is not None and path.exists()]


def sky_told(scene: Scene, group: str) -> Path:
    """Where quick depth maps left word of which pixels show sky; there may be no such file."""
    return sky_file(fused_file(scene.dense(group), is_for_training=True))


def _extracted(scene: Scene, options: Any) -> Iterable[Path]:
    given, sky = chosen_checkpoint(scene, options).path, sky_told(scene, options.group)
    return [given, sky] if sky.is_file() else [given]


def _lacks_points(scene: Scene, options: ProcessOptions) -> bool:
    has_model = all((scene.sparse / name).is_file() for name in colmap_model.FILES)
    return has_model and options.dense == "auto" and not _points_of_others(scene, options.group)


def _training_points(options: ProcessOptions) -> TrainingPoints:
    return TrainingPoints(group=options.group, seed=options.seed, gpus=options.gpus)


def _borrowed(stage: Stage) -> Stage:
    """A stage of dense stereo for training to begin with, where no other pipeline has left points.

    What a person can not tell it is constant, so the report has no such settings.
    """
    told = [name for name in stage.parameters if name in ("group", "seed")]
    return replace(
        stage,
        parameters=told,
        added=(),
        facts=["sphere" if fact == "region" else fact for fact in stage.facts],
        reads=[name for name in stage.declared if name not in told],
        own_options=_training_points,
        applies=_lacks_points,
        can_fail=True,
    )


_OF_POINTS = [
    _borrowed(dense.STAGES[name]) for name in ("neighbours", "depthmaps", "consistency", "fuse")
]

STAGES = named(
    *_OF_POINTS,
    Stage(
        "train",
        1,
        deferred(__name__, "train"),
        parameters=("group", "iterations", "preset", "seed", "overrides"),
        reads=("dense", "gpus", "fresh", "checkpoint", "save_minutes", "wandb"),
        facts=("cameras", "sphere", "masks"),
        files=_trained_on,
        packages=("torch",),
    ),
    Stage(
        "mesh",
        5,
        deferred_shards(__name__, "mesh", lists_inputs=True, needs=one_gpu),
        parameters=(
            "group",
            "resolution",
            "block_res",
            "checkpoint",
            "textured",
            "keep_lcc",
            "unseen",
            "refine",
        ),
        reads=("workers", "gpus"),
        facts=("cameras", "region", "masks", "georeference"),
        files=_extracted,
        packages=("torch", "warp-lang", "scikit-image", "scipy", "trimesh", "embreex"),
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
