"""Stages of prepare, which all pipelines share."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from maquette.errors import NotFound
from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.frames import intake
from maquette.scene.atomic import replacing
from maquette.scene.events import Progress
from maquette.scene.input_source import everything_below, files_below
from maquette.scene.paths import Scene
from maquette.stages.declaring import deferred, deferred_shards, named
from maquette.stages.stage import DeclaredOptions, Stage

_LIST = "gcp_list.txt"


def _bring_input(scene: Scene, options: DeclaredOptions, progress: Progress) -> None:
    """Fill `input/` from INPUT if it holds something else; its files are this stage's key.

    The key is that of the content alone: a scene that was moved away from its source, or whose
    source has a new name, is not prepared again.
    """
    intake.bring_in(scene, options.input, progress)


def _mask_files(scene: Scene, options: DeclaredOptions) -> Iterable[Path]:
    """Masks are part of the key: the person's, and those that came with the photos."""
    folders = (scene.masks, scene.masks_input)
    return sorted(path for folder in folders for path in folder.glob("*.png"))


def _bring_control_list(scene: Scene, options: DeclaredOptions, progress: Progress) -> None:
    """Copy the list of control points that GCP names into the scene, where it is here."""
    kept, given = scene.root / _LIST, Path(options.gcp).expanduser()
    if options.gcp and given.is_file() and given.resolve() != kept.resolve():
        with replacing(kept) as temporary:
            shutil.copyfile(given, temporary)


def _check_place(scene: Scene, options: DeclaredOptions) -> None:
    """Refuse a list of control points that is not there, a bar or an UP of another form.

    Raises:
        NotFound, ConfigError: there is one such.
    """
    is_there = Path(options.gcp).expanduser().is_file() or (scene.root / _LIST).is_file()
    if options.gcp and not is_there:
        raise NotFound(
            f"GCP={options.gcp} is not there",
            hint=f"put it among the photos, or into the scene, as `{_LIST}`: other machines "
            "see it there; `GCP=` asks for none",
        )
    if options.scale_bar or options.up != PrepareOptions.up:
        deferred(__name__, "georeference", "check")(scene, options)


def _check_camera(scene: Scene, options: DeclaredOptions) -> None:
    if options.camera_params or options.camera_model != PrepareOptions.camera_model:
        deferred(__name__, "features", "check")(scene, options)


def control_list(scene: Scene, options: DeclaredOptions | PrepareOptions) -> Path | None:
    """The list of control points: that of GCP, or one among the photos; None without any."""
    kept = scene.root / _LIST
    if options.gcp and kept.is_file():
        return kept
    return next((path for path in files_below(scene.input) if path.name == _LIST), None)


def _control_lists(scene: Scene, options: DeclaredOptions) -> Iterable[Path]:
    found = control_list(scene, options)
    return [found] if found else []


STAGES = named(
    Stage(
        "input",
        1,
        deferred(__name__, "input"),
        files=lambda scene, options: everything_below(scene.input),
        packages=("av", "pillow"),
        bring=_bring_input,
        reads=("input",),
    ),
    Stage(
        "frames",
        1,
        deferred(__name__, "frames"),
        parameters=("downsample_rate", "frames", "seed"),
        after=("input",),
        packages=("av", "pillow", "pillow-heif"),
        intermediate=("images_raw/",),
    ),
    Stage(
        "features",
        1,
        deferred_shards(__name__, "features", lists_inputs=True),
        parameters=("camera_model", "camera_params", "seed"),
        reads=("workers",),
        after=("frames",),
        files=_mask_files,
        check=_check_camera,
        packages=("pycolmap",),
        keeps_shards=False,
    ),
    Stage(
        "matches",
        3,
        deferred_shards(__name__, "matches", lists_inputs=True),
        parameters=("matcher", "seed"),
        reads=("workers",),
        after=("features",),
        uses=("frames",),
        packages=("pycolmap",),
        keeps_shards=False,
    ),
    Stage(
        "poses",
        2,
        deferred(__name__, "poses"),
        parameters=(
            "camera_model",
            "camera_params",
            "refine_principal_point",
            "min_registered",
            "seed",
        ),
        reads=("workers",),
        added=("poses", "cluster_size"),
        after=("frames", "features", "matches"),
        packages=("pycolmap",),
        keeps_shards=False,
    ),
    Stage(
        "undistort",
        1,
        deferred(__name__, "undistort"),
        after=("frames", "features", "poses"),
        packages=("pycolmap", "pillow"),
    ),
    Stage(
        "georeference",
        1,
        deferred(__name__, "georeference"),
        parameters=("georeference", "scale_bar", "up"),
        reads=("gcp",),
        after=("frames", "undistort"),
        files=_control_lists,
        bring=_bring_control_list,
        check=_check_place,
        packages=("pycolmap", "pillow"),
    ),
    Stage(
        "region",
        5,
        deferred(__name__, "region"),
        parameters=("scene_type",),
        after=("undistort",),
        facts=("georeference",),
        packages=("pycolmap", "pillow"),
    ),
    Stage(
        "dataset",
        1,
        deferred(__name__, "dataset"),
        parameters=("scene_type", "auto_exposure_wb"),
        after=("undistort", "region"),
        packages=("pillow",),
    ),
)
