"""The stage that shows depth maps."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

from dense_workspace import write_workspace
from maquette.pipelines.photogrammetry.options import ProcessOptions
from maquette.recon.stages.dense import depth_pictures
from maquette.scene import outputs
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.running import run_stages
from maquette.stages.stage import Report, Stage
from turns import linked_copy, made_once


def made_before(scene: Scene, options: Any, progress: Progress) -> Report:
    """Stands for the stages before: their files are there."""
    return Report([])


STAGES = [Stage(name, 1, made_before) for name in depth_pictures.STAGE.after]


def test_eight_depth_maps_are_shown_below_their_photos(tmp_path: Path) -> None:
    root = linked_copy(made_once("exact dense workspace", write_workspace), tmp_path / "scene")
    scene = Scene(root, "photogrammetry")
    progress = Progress(log=io.StringIO())
    stages = [*STAGES, depth_pictures.STAGE]
    *_, record = run_stages(stages, "process", scene, ProcessOptions(), progress)
    assert record.numbers == {"shown": 8}
    assert record.kinds == {"results/photogrammetry/depth_maps.png": outputs.PICTURE}
    with Image.open(scene.results / "depth_maps.png") as picture:
        assert picture.width == 4 * 364 + 4 and len(picture.getcolors(1 << 20) or ()) > 1000
