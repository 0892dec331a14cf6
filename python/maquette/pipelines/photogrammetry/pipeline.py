"""What photogrammetry is."""

from __future__ import annotations

from maquette.pipelines.dense import (
    EXTRACT_STAGES,
    PROCESS_STAGES,
    RENDERER,
    WORKSPACE,
    pixels_of_depth_maps,
)
from maquette.pipelines.options import options_of
from maquette.pipelines.photogrammetry.options import ExtractOptions, ProcessOptions
from maquette.pipelines.pipeline import OURS, Engine, Pipeline, Step
from maquette.pipelines.prepare import PREPARE

_OF_PREPARE = frozenset(option.setting for option in options_of(PREPARE.options))
MESHROOM_READS = frozenset({
    "PRESET", "SOURCE_VIEWS",
    "LONG_FACES", "KEEP_LCC", "SMOOTH", "FACES", "DECIMATE", "TEXTURE_SIZE", "TEXTURE_DILATION",
}) | _OF_PREPARE  # fmt: skip


PIPELINE = Pipeline(
    name="photogrammetry",
    summary="a textured mesh from depth maps: quick, and exact where photos show texture",
    steps={
        "prepare": PREPARE,
        "process": Step(
            ProcessOptions,
            PROCESS_STAGES,
            work=pixels_of_depth_maps,
            smaller="DENSE_SIZE=800",
            needs="transforms.json",
            shows=WORKSPACE,
        ),
        "extract": Step(
            ExtractOptions,
            EXTRACT_STAGES,
            work=lambda options, images: images.count * images.megapixels,
            smaller="RESOLUTION=400",
            needs="dense/{pipeline}/",
        ),
    },
    engines=(
        OURS,
        Engine(
            "alicevision",
            "AliceVision and Meshroom: Mozilla Public License 2.0; on NVIDIA GPUs",
            is_commercial=True,
            reads=MESHROOM_READS,
            steps=frozenset({"process", "extract"}),
            collects={"extract": (".dense.meshroom",)},
        ),
    ),
    renderer=RENDERER,
    smaller={"mesh": "FACES={count}"},
)
