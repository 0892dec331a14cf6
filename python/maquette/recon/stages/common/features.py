"""Stage `features`: a new `database.db` with cameras, images and SIFT features; by 50 pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from maquette.pipelines.pipeline import COMMON
from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.frames.folders import replacing_file
from maquette.recon.sfm import cameras, colmap, features, shards
from maquette.recon.sfm.cameras import check_model, check_parameters
from maquette.recon.sfm.features import Effort, FeatureOptions, Search
from maquette.recon.sfm.masks import for_colmap
from maquette.recon.stages.common import STAGES
from maquette.scene import masks
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import Report

STAGE = STAGES["features"]

_NAME = STAGE.name
_PICTURES = 50


def split(scene: Scene, options: PrepareOptions) -> list[dict[str, Any]]:
    """The pictures of each shard, and how to look at them."""
    names = _names(scene)
    chosen = _options(scene, options)
    searches = features.searches(scene.images_raw, names, chosen, Effort.usual(len(names)))
    shares = shards.share_out(searches, _PICTURES)
    return [
        {"number": number, "searches": [asdict(one) for one in share]}
        for number, share in enumerate(shares)
    ]


def run(
    scene: Scene, options: PrepareOptions, item: dict[str, Any], progress: Progress
) -> Sequence[Path]:
    """Find the features of some pictures of `images_raw/`, into a database of their own."""
    searches = [Search(**one) for one in item["searches"]]
    names = [name for search in searches for name in search.names]
    threads = shards.threads_of(options.workers)
    target = _database_of(scene, item["number"])
    with replacing_file(target) as database, for_colmap(scene, names) as mask_folder:
        colmap.create(database)
        features.find(database, scene.images_raw, searches, mask_folder, progress, threads)
        colmap.settle(database)
    return [target]


def inputs(
    scene: Scene, options: PrepareOptions, items: Sequence[dict[str, Any]]
) -> list[list[Path]]:
    """The pictures of each shard, and all masks."""
    told = masks.files(scene)
    return [
        [*told, *(scene.images_raw / name for one in item["searches"] for name in one["names"])]
        for item in items
    ]


def merge(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
    """Number the pictures by camera and name, and join what the shards found.

    Raises:
        BadInput: no picture shows any feature.
    """
    names = _names(scene)
    with replacing_file(scene.database) as database:
        features.register(database, scene.images_raw, names, _options(scene, options))
        colmap.settle(database)
        for number in range(-(-len(names) // _PICTURES)):
            shards.join_pictures(database, _database_of(scene, number))
        features.require_some(database)
        colmap.settle(database)
        numbers = features.counts(database)
    matched = masks.raw(scene)
    numbers["masks"] = len(matched.by_picture)
    for remark in matched.remarks():
        progress.say(remark)
    return Report((), mutable=[scene.database], numbers=numbers, remarks=matched.remarks())


def _database_of(scene: Scene, number: int) -> Path:
    """Where a shard writes, beside its record."""
    return scene.records(COMMON) / _NAME / f"{number}.db"


def _names(scene: Scene) -> list[str]:
    return sorted(path.name for path in scene.images_raw.glob("*.jpg"))


def _options(scene: Scene, options: PrepareOptions) -> FeatureOptions:
    camera = cameras.known(scene, options.camera_model, options.camera_params)
    return FeatureOptions(*camera, options.seed)


def check(scene: Scene, options: PrepareOptions) -> None:
    """Refuse a camera that COLMAP does not know, or parameters that are not its."""
    check_parameters(check_model(options.camera_model), options.camera_params)
