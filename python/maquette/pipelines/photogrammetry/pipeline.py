"""What photogrammetry is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maquette.pipelines.dense import EXTRACT_STAGES, PROCESS_STAGES, RENDERER, WORKSPACE
from maquette.pipelines.options import options_of
from maquette.pipelines.photogrammetry.options import ExtractOptions, ProcessOptions
from maquette.pipelines.pipeline import OURS, Engine, Images, Pipeline, Step
from maquette.pipelines.prepare import PREPARE

_ASPECT = 0.75
_USUAL_SIDE, _LEAST_SIDE = 1200, 360  # of a map, pixels: at most, and of a preview at least
_THINNED = 24  # photos of which a preview leaves out every other one
_OF_PREPARE = frozenset(option.setting for option in options_of(PREPARE.options))
MESHROOM_READS = frozenset({
    "PRESET", "SOURCE_VIEWS",
    "LONG_FACES", "KEEP_LCC", "SMOOTH", "FACES", "DECIMATE", "TEXTURE_SIZE", "TEXTURE_DILATION",
}) | _OF_PREPARE  # fmt: skip


def _pixels(options: Mapping[str, Any], images: Images) -> float:
    """Millions of pixels of all depth maps."""
    own = (images.megapixels * 1e6 / _ASPECT) ** 0.5  # long side of a photo
    count, side = images.count, min(own, options["dense_size"] or _USUAL_SIDE)
    if options["preset"] == "preview":
        count = count // 2 if count >= _THINNED else count
        if not options["dense_size"]:
            side = min(side, max(0.5 * side, _LEAST_SIDE))
    return count * _ASPECT * side**2 / 1e6


PIPELINE = Pipeline(
    name="photogrammetry",
    summary="a textured mesh from depth maps: quick, and exact where photos show texture",
    steps={
        "prepare": PREPARE,
        "process": Step(
            ProcessOptions,
            PROCESS_STAGES,
            work=_pixels,
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
