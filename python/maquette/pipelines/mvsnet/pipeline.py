"""What learned multi-view stereo is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from maquette.pipelines.dense import EXTRACT_STAGES, PROCESS_STAGES, RENDERER, WORKSPACE
from maquette.pipelines.mvsnet.options import ExtractOptions, ProcessOptions
from maquette.pipelines.pipeline import Alternative, Images, Pipeline, Step
from maquette.pipelines.prepare import PREPARE

# Below INPUT: DTU's folders, those of MVSNet and BlendedMVS, and depth maps of a scene of ours.
_DATA_SETS = (
    "Cameras", "Rectified", "Depths", "cams", "*/cams", "*/blended_images",
    "dense/*/*/stereo/filtered",
)  # fmt: skip
_INDEX = "dataset/index.json"


def _planes(options: Mapping[str, Any], images: Images) -> float:
    """Millions of cells of cost volumes: pixels at a quarter of the size, times planes."""
    pixels = images.count * images.megapixels / 16
    return pixels * options["n_depths"]


PIPELINE = Pipeline(
    name="mvsnet",
    summary="a network that learns depth maps from scenes with true depth, such as DTU",
    steps={
        "prepare": replace(
            PREPARE,
            alternatives=(
                Alternative(
                    (".mvsnet.index",), needs="input/", marks=_DATA_SETS, scene_marks=(_INDEX,)
                ),
            ),
        ),
        "process": Step(
            ProcessOptions,
            PROCESS_STAGES,
            work=_planes,
            smaller="DENSE_SIZE=800 N_DEPTHS=128",
            needs="transforms.json",
            shows={"run": "runs/{pipeline}/{group}", **WORKSPACE},
            afresh="FRESH=1",
            alternatives=(Alternative((".mvsnet.train",), _INDEX, scene_marks=(_INDEX,)),),
        ),
        "extract": Step(
            ExtractOptions,
            EXTRACT_STAGES,
            work=lambda options, images: images.count * images.megapixels,
            smaller="RESOLUTION=400",
            needs="dense/{pipeline}/",
            alternatives=(
                Alternative((".mvsnet.tables",), "runs/{pipeline}/", scene_marks=(_INDEX,)),
            ),
        ),
    },
    renderer=RENDERER,
    smaller={"mesh": "FACES={count}"},
)
