"""What learned multi-view stereo is."""

from __future__ import annotations

from dataclasses import replace

from maquette.pipelines.dense import (
    EXTRACT_STAGES,
    PROCESS_STAGES,
    RENDERER,
    WORKSPACE,
    DenseOptions,
    SurfaceOptions,
    pixels_of_depth_maps,
)
from maquette.pipelines.mvsnet.options import (
    ExtractOptions,
    ProcessOptions,
    TablesOptions,
    TrainOptions,
)
from maquette.pipelines.options import StepOptions
from maquette.pipelines.pipeline import Alternative, Pipeline, Step
from maquette.pipelines.prepare import PREPARE

# Below INPUT: DTU's folders, those of MVSNet and BlendedMVS, and what a scene of ours has.
_DATA_SETS = (
    "Cameras", "Rectified", "Depths", "cams", "*/cams", "*/blended_images",
    "dense/*/*/stereo/filtered", "stages/layout.json",
)  # fmt: skip
_INDEX = "dataset/index.json"


PIPELINE = Pipeline(
    name="mvsnet",
    summary="a network that learns depth maps from scenes with true depth, such as DTU",
    steps={
        "prepare": replace(
            PREPARE,
            alternatives=(
                Alternative(
                    (".mvsnet.index",),
                    needs="input/",
                    marks=_DATA_SETS,
                    scene_marks=(_INDEX,),
                    reads=StepOptions,
                    is_in_place=True,
                ),
            ),
        ),
        "process": Step(
            ProcessOptions,
            PROCESS_STAGES,
            work=pixels_of_depth_maps,
            smaller="DENSE_SIZE=800",
            needs="transforms.json",
            shows={"run": "runs/{pipeline}/{group}", **WORKSPACE},
            afresh="FRESH=1",
            reads=DenseOptions,
            alternatives=(
                Alternative(
                    (".mvsnet.train",),
                    _INDEX,
                    scene_marks=(_INDEX,),
                    reads=TrainOptions,
                    is_in_place=True,
                ),
            ),
        ),
        "extract": Step(
            ExtractOptions,
            EXTRACT_STAGES,
            work=lambda options, images: images.count * images.megapixels,
            smaller="RESOLUTION=400",
            needs="dense/{pipeline}/",
            reads=SurfaceOptions,
            alternatives=(
                Alternative(
                    (".mvsnet.tables",),
                    "runs/{pipeline}/",
                    scene_marks=(_INDEX,),
                    reads=TablesOptions,
                    is_in_place=True,
                    use="`make process PIPELINE={pipeline} MODEL=… CHECKPOINT={scene}/runs/"
                    "{pipeline}/{group}/best.pt` makes depth maps of photos with the network",
                ),
            ),
        ),
    },
    renderer=RENDERER,
    smaller={"mesh": "FACES={count}"},
)
