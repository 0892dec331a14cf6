"""How good the models are that a mapper made of a database, and which pictures they have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maquette.recon.sfm import colmap, mapping
from maquette.recon.sfm.mapping import MAX_ERROR_PX, Quality
from maquette.recon.sfm.workspace import Attempt, Workspace

_ENOUGH_POINTS = 30.0  # for each registered picture


def judged(workspace: Workspace, name: str, database: Path, models: list[Any]) -> Attempt:
    """The largest model, or all joined where that is better."""
    images = len(colmap.image_names(database))
    if not models:
        return Attempt(name, database, None, mapping.quality_of(None, images))
    attempt = Attempt(name, database, models[0], mapping.quality_of(models[0], images))
    if len(models) == 1:
        return attempt
    sizes = " + ".join(str(model.num_reg_images()) for model in models)
    joined = mapping.join(
        models,
        database,
        workspace.pictures,
        workspace.work / f"{name}-joined",
        workspace.options.mapping,
    )
    quality = mapping.quality_of(joined, images)
    if quality > attempt.quality and quality.error_px <= MAX_ERROR_PX:
        attempt.model, attempt.quality = joined, quality
        attempt.remarks.append(
            f"{len(models)} separate models ({sizes} pictures) were joined into one"
        )
    else:
        attempt.remarks.append(
            f"{len(models)} separate models ({sizes} pictures): the largest is used"
        )
    workspace.progress.say(attempt.remarks[-1])
    return attempt


def is_firm(quality: Quality) -> bool:
    """Whether it has many points: few bear poses that are off by percents."""
    return quality.points >= _ENOUGH_POINTS * quality.registered


def posed(attempt: Attempt) -> list[str]:
    """The names of the pictures that found a pose."""
    images = attempt.model.images.values() if attempt.model else ()
    return [image.name for image in images if image.has_pose]
