"""Stage `frames`: `images_raw/000001.jpg …` from the video or the photos."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from maquette.errors import BadInput, ConfigError
from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.frames import given_masks, pictures, sources
from maquette.recon.frames.folders import replacing_folder
from maquette.recon.frames.pictures import Picture
from maquette.recon.frames.sources import Source
from maquette.recon.stages.common import STAGES
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import Report

STAGE = STAGES["frames"]

_SHOWN = 5


def run(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
    """Write the pictures and `images_raw.json`, which tells where each came from."""
    _check(options)
    source = sources.examine(scene.input)
    remarks: list[str] = []
    with replacing_folder(scene.images_raw) as folder, replacing_folder(scene.masks_input) as masks:
        if source.video:
            made = pictures.from_video(
                source, options.downsample_rate, options.frames, options.seed, folder, progress
            )
        else:
            made = pictures.from_photos(source, options.frames, folder, masks, progress)
            remarks = given_masks.take(scene.input, made, folder, masks)
        if len(made) < sources.MIN_PHOTOS:
            raise BadInput(
                f"too few pictures: {len(made)}, at least {sources.MIN_PHOTOS} are needed",
                hint="lower DOWNSAMPLE_RATE or raise FRAMES",
            )
    write_json(mapping := scene.root / "images_raw.json", pictures.as_document(source, made))
    outputs = [scene.images_raw / picture.name for picture in made]
    found_masks = _tidied(scene.masks_input)
    remarks += _remarks(source, options, made)
    for remark in remarks:
        progress.say(remark)
    numbers = _numbers(scene, source, made)
    if found_masks:
        numbers["masks"] = len(found_masks)
    return Report([*outputs, *found_masks, mapping], numbers=numbers, remarks=remarks)


def _tidied(folder: Path) -> list[Path]:
    """The masks that came with the input; without any there is no folder."""
    found = sorted(folder.iterdir())
    if not found:
        folder.rmdir()
    return found


def _check(options: PrepareOptions) -> None:
    if options.downsample_rate < 1:
        raise ConfigError(f"DOWNSAMPLE_RATE is {options.downsample_rate}, it must be 1 or more")
    if options.frames and options.frames < sources.MIN_PHOTOS:
        raise ConfigError(
            f"FRAMES is {options.frames}, it must be 0 or at least {sources.MIN_PHOTOS}"
        )


def _remarks(source: Source, options: PrepareOptions, made: list[Picture]) -> list[str]:
    found = [picture.remark for picture in made if picture.remark]
    if len(found) > _SHOWN:
        found[_SHOWN:] = [f"… and {len(found) - _SHOWN} more photos like these"]
    if options.frames > len(made):
        found.append(f"FRAMES={options.frames}, but the input gives only {len(made)}: all are used")
        return found
    expected = 0 if source.facts is None or options.frames else source.facts.frames
    if expected and len(made) < 0.9 * (expected / options.downsample_rate):
        found.append(f"the video breaks off after frame {made[-1].index} of {expected}")
    return found


def _numbers(scene: Scene, source: Source, made: list[Picture]) -> dict[str, object]:
    with Image.open(scene.images_raw / made[0].name) as first:
        width, height = first.size
    numbers: dict[str, object] = {"images": len(made), "width": width, "height": height}
    if source.facts:
        numbers["duration_s"] = round(source.facts.duration_s, 3)
    return numbers
