"""Stage `poses`: a COLMAP model of the pictures as filmed, that passed the registration gate."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from PIL import Image

from maquette.errors import BadInput, ConfigError
from maquette.pipelines.pipeline import COMMON
from maquette.pipelines.prepare import Poses, PrepareOptions
from maquette.recon.frames.folders import replacing_file, replacing_folder
from maquette.recon.sfm import cameras, colmap, judging, mapping, registration
from maquette.recon.sfm.features import FeatureOptions
from maquette.recon.sfm.given import model, reading
from maquette.recon.sfm.workspace import Attempt, PoseOptions, Workspace
from maquette.recon.stages.common import STAGES
from maquette.scene import originals, stage_records
from maquette.scene.events import Progress
from maquette.scene.input_source import files_below
from maquette.scene.paths import Scene
from maquette.stages.stage import Report

STAGE = STAGES["poses"]

_NAME = STAGE.name
_USUAL = ("incremental", "global", "clusters", "given", "refined")
_FILES = ("cameras.bin", "images.bin", "points3D.bin")


def run(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
    """Write `sparse_raw/0`, and the database that a stronger method made as `database.db`.

    The database is replaced first: a kill between the two leaves one from which the next run
    finds the same poses.
    """
    if not 0 < options.min_registered <= 1:
        raise ConfigError(
            f"MIN_REGISTERED is {options.min_registered}, it must be above 0, up to 1"
        )
    with replacing_folder(scene.distorted.parent) as folder:
        work = folder / "work"
        work.mkdir()
        chosen = _options(scene, options)
        kept = scene.records(COMMON) / _NAME
        workspace = Workspace(scene, work, chosen, progress, kept)
        best = _given(workspace, options.poses) or registration.register(workspace)
        (folder / "0").mkdir()
        best.model.write_binary(folder / "0")
        if best.database != scene.database:
            with replacing_file(scene.database) as database:
                best.database.replace(database)
        numbers = _numbers(best)
        shutil.rmtree(work)
    remarks = list(best.remarks)
    if unposed := originals.without_pose(scene, judging.posed(best)):
        numbers["without_pose"] = unposed
        remarks.append(originals.sentence(unposed, best.quality.images))
        progress.say(remarks[-1])
    if best.method not in _USUAL:
        remarks.append(f"the usual way left pictures out; `{best.method}` found their poses")
    outputs = [scene.distorted / name for name in _FILES]
    return Report(outputs, mutable=[scene.database], numbers=numbers, remarks=remarks)


def _given(workspace: Workspace, wanted: Poses) -> Attempt | None:
    """The model of the poses that came with the photos, if there are any and they are wanted."""
    scene = workspace.scene
    if wanted == "find" or originals.is_video(scene):
        return None
    pictures = originals.by_picture(scene)
    sizes = {name: _size(scene.images_raw / name) for name in pictures}
    in_order = [sizes[name] for name in sorted(pictures)]
    names = [pictures[name] for name in sorted(pictures)]
    given = reading.read(files_below(scene.input), names, lambda number: in_order[number])
    if given is None:
        if wanted != "auto":
            raise BadInput(
                f"POSES={wanted}, but no poses came with the photos",
                hint="put transforms.json, or COLMAP's cameras and images, beside the photos; "
                "POSES=find finds poses",
            )
        return None
    cameras = model.by_picture(given, pictures)
    refine = wanted == "refine" or model.needs_refining(list(cameras.values()))
    remark = f"poses of {given.program} (`{given.file}`) are used"
    workspace.progress.say(remark + (", and adjusted" if refine else ""))
    posed, database = (
        model.build(cameras, colmap.image_ids(scene.database), sizes),
        workspace.work / "given.db",
    )
    model.database_of(posed, scene.database, database)
    found = model.triangulate(
        posed,
        database,
        scene.images_raw,
        workspace.work / "given",
        workspace.options.mapping,
        refine,
    )
    quality = mapping.quality_of(found, len(pictures))
    return Attempt("refined" if refine else "given", database, found, quality, [remark])


def _size(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as image:
        return image.size


def _options(scene: Scene, options: PrepareOptions) -> PoseOptions:
    camera = cameras.known(scene, options.camera_model, options.camera_params)
    return PoseOptions(
        FeatureOptions(*camera, options.seed),
        options.refine_principal_point,
        options.min_registered,
        options.seed,
        originals.is_video(scene),
        options.cluster_size,
        options.workers,
        _is_by_look(scene),
    )


def _is_by_look(scene: Scene) -> bool:
    matched = stage_records.read(scene, "matches")
    return matched is not None and matched.numbers.get("matcher") == "alike"


def _numbers(best: Attempt) -> dict[str, Any]:
    quality = best.quality
    camera = next(iter(best.model.cameras.values()))
    return {
        "registered": quality.registered,
        "images": quality.images,
        "registered_ratio": round(quality.ratio, 4),
        "points": quality.points,
        "mean_reprojection_error_px": round(quality.error_px, 4),
        "mean_track_length": round(quality.track_length, 3),
        "rung": best.method,
        "camera_model": camera.model.name,
        "focal_px": round(camera.mean_focal_length(), 3),
    }
