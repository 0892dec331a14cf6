"""Stage `georeference`: `georeference.json`, where the scene lies on Earth, its scale and its up.

It moves nothing and reads finished poses, so it may run again at any time: with a list of control
points, a scale bar or another `UP`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maquette.errors import BadInput
from maquette.pipelines.pipeline import COMMON
from maquette.pipelines.prepare import PrepareOptions
from maquette.pipelines.registry import all_pipelines
from maquette.recon.places import (
    control,
    control_points,
    finding,
    gravity,
    nadir,
    positions,
    scale_bars,
)
from maquette.recon.places.control import Measured
from maquette.recon.places.control_points import ControlList, Pictures
from maquette.recon.places.finding import Cameras, Finding
from maquette.recon.places.positions import Position
from maquette.recon.places.scale_bars import ScaleBar
from maquette.recon.sfm.colmap import read_model
from maquette.recon.stages.common import STAGES, control_list
from maquette.scene import colmap_model, georeference, originals
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress
from maquette.scene.input_source import files_below
from maquette.scene.paths import Scene
from maquette.stages.stage import Report

STAGE = STAGES["georeference"]


def check(scene: Scene, options: PrepareOptions) -> None:
    """Refuse a bar or an UP of another form.

    Raises:
        ConfigError: there is one such.
    """
    gravity.parse(options.up)
    scale_bars.check(options.scale_bar)


def run(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
    """Find out, and write what is known.

    Raises:
        BadInput: what a person asked for (`GEOREFERENCE=on`, `GCP=`) can not be had.
    """
    wanted_up = gravity.parse(options.up)
    cameras, told = _cameras(scene), _positions(scene)
    given, bars = _marked(scene, options)
    found, measured = _find(scene, options, cameras, told, given, bars)
    finding.settle_up(cameras, told, wanted_up, found)
    if not found.why_not or told:
        found.remarks += [f"no georeference: {found.why_not}"] if found.why_not else []
    for remark in found.remarks:
        progress.say(remark)
    _advise(scene, found, progress)
    document = _document(found, cameras, told, measured)
    outputs = []
    if any(document[key] is not None for key in georeference.TELLING) or told:
        write_json(scene.georeference, document)
        outputs.append(scene.georeference)
    else:
        scene.georeference.unlink(missing_ok=True)
    return Report(outputs, numbers=_numbers(found), remarks=found.remarks)


def _advise(scene: Scene, found: Finding, progress: Progress) -> None:
    """Say where the method that was asked for and the photos do not suit one another.

    That is no remark: all methods share the record.
    """
    if scene.pipeline != COMMON:
        fitting = [pipeline.name for pipeline in all_pipelines() if pipeline.is_for_nadir]
        angle = found.numbers.get("nadir_angle_deg")
        if told := nadir.advice(scene.pipeline, fitting, angle):
            progress.warn(told)


def _find(
    scene: Scene, options: PrepareOptions, cameras: Cameras, told: dict[str, Position],
    given: ControlList | None, bars: list[ScaleBar],
) -> tuple[Finding, list[Measured]]:  # fmt: skip
    found, measured = Finding(), list[Measured]()
    again = "run `make prepare` with FORCE_STAGE=poses"
    model = read_model(scene.distorted, again) if given or bars else None
    by_bars = control.lengths(bars, given, model)
    scale = control.scale_of(by_bars, found)
    if given is not None:
        found.remarks += given.remarks
        if options.georeference != "off":
            measured = control.by_points(given, model, _near(told), found)
    elif options.georeference != "off":
        finding.by_gps(cameras, told, scale, found)
        if options.georeference == "on" and found.georeference is None:
            raise BadInput(
                f"GEOREFERENCE=on, but {found.why_not}",
                detail="\n".join(found.remarks),
                hint="GEOREFERENCE=auto goes on without; GCP= gives ground control points",
            )
    if scale is not None and found.georeference is None:
        found.metres_per_unit, found.source = scale, "scale bar"
        found.remarks.append(f"a unit is {scale:.5g} m by SCALE_BAR")
    elif scale is not None and given is not None and found.metres_per_unit:
        found.numbers["gcp_scale_over_bar"] = round(found.metres_per_unit / scale, 5)
    return found, measured


def _cameras(scene: Scene) -> Cameras:
    model = colmap_model.read(scene.sparse)
    return Cameras(model.names, originals.titles(scene), model.world_from_cam, model.points)


def _positions(scene: Scene) -> dict[str, Position]:
    """What each picture's photo tells, from the file as it was given where that is still there."""
    if originals.is_video(scene):
        return {}
    by_name: dict[str, list[Path]] = {}
    for path in files_below(scene.input) if scene.input.is_dir() else []:
        by_name.setdefault(path.name, []).append(path)
    found = {}
    for name, title in originals.titles(scene).items():
        same = by_name.get(title, [])
        position = positions.read(same[0] if len(same) == 1 else scene.images_raw / name)
        if position is not None:
            found[name] = position
    return found


def _near(told: dict[str, Position]) -> np.ndarray | None:
    """The middle of the positions that the photos tell, (φ, λ, h)."""
    places = [
        [one.latitude, one.longitude, one.altitude or 0.0]
        for one in told.values() if one.is_possible
    ]  # fmt: skip
    return np.median(places, axis=0) if places else None


def _marked(scene: Scene, options: PrepareOptions) -> tuple[ControlList | None, list[ScaleBar]]:
    path = control_list(scene, options)
    if path is None and not options.scale_bar:
        return None, []
    titles = originals.titles(scene)
    by_name = {title.lower(): name for name, title in titles.items()} | {n: n for n in titles}
    pictures = Pictures(by_name, {name: _size(scene.images_raw / name) for name in titles})
    given = None
    if path is not None:
        text = path.read_text(encoding="utf-8", errors="replace")
        given = control_points.parse(text, pictures, path.name)
    return given, scale_bars.parse(options.scale_bar, pictures)


def _size(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as image:
        return image.size


def _document(
    found: Finding, cameras: Cameras, told: dict[str, Position], measured: list[Measured]
) -> dict[str, Any]:
    known, direction = found.georeference, found.up.direction
    photos = [
        {"name": name, "original": cameras.titles.get(name, name), **told[name].as_document()}
        | ({"missed_m": round(found.missed_m[name], 3)} if name in found.missed_m else {})
        for name in sorted(told)
    ]
    return {
        "schema_version": georeference.SCHEMA_VERSION,
        "up": None if direction is None else [float(value) for value in direction],
        "up_by": found.up.witness,
        "metres_per_unit": found.metres_per_unit,
        "source": found.source or None,
        "georeference": known.as_document() if known else None,
        "why_not": found.why_not or None,
        "numbers": found.numbers,
        "control_points": [one.as_document() for one in measured],
        "photos": photos,
    }


def _numbers(found: Finding) -> dict[str, Any]:
    numbers: dict[str, Any] = {"georeferenced_by": found.source or "nothing"}
    if found.why_not:
        numbers["why_not"] = found.why_not
    if found.georeference is not None:
        numbers["epsg"] = found.georeference.utm.epsg
    if found.metres_per_unit is not None:
        numbers["metres_per_unit"] = round(found.metres_per_unit, 6)
    return numbers | found.numbers
