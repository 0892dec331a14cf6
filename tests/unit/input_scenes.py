"""Photos, archives and scenes for the tests of what the input may be."""

from __future__ import annotations

import io
import zipfile
from functools import partial
from pathlib import Path

from test_frames_video import texture

from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.stages.common import input as input_stage
from maquette.scene import stage_records
from maquette.scene.events import Progress
from maquette.scene.input_source import files_below
from maquette.scene.paths import Scene
from maquette.stages.running import run_stages

quiet = partial(Progress, None, io.StringIO())


def empty_scene(folder: Path) -> Scene:
    scene = Scene(folder / "scenes" / "lego")
    scene.stages.mkdir(parents=True)
    return scene


def photo(path: Path, seed: int = 0, size: tuple[int, int] = (96, 64)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    texture(seed).resize(size).save(path)
    return path


def photo_folder(folder: Path, count: int = 4) -> Path:
    for index in range(count):
        photo(folder / f"IMG {index} 'é'.jpg", index)
    return folder


def prepare(scene: Scene, wanted: str) -> stage_records.StageRecord:
    options = PrepareOptions(input=wanted)
    return run_stages([input_stage.STAGE], "prepare", scene, options, quiet())[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in files_below(folder)}


def zipped(path: Path, members: dict[str, bytes], **kwargs: int) -> Path:
    with zipfile.ZipFile(path, "w", **kwargs) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, kwargs.get("compression"))
    return path


def jpeg(seed: int) -> bytes:
    texture(seed).save(stream := io.BytesIO(), format="JPEG")
    return stream.getvalue()
