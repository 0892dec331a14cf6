"""What drone photos from above become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maquette.pipelines.aerial.options import ExtractOptions, ProcessOptions
from maquette.pipelines.pipeline import Images, Pipeline, Step
from maquette.pipelines.prepare import PREPARE
from maquette.pipelines.splat.pipeline import PIPELINE as SPLATS
from maquette.pipelines.splat.presets import preset_of

_MAP_PER_PHOTO = 0.4  # work of a megapixel of the maps, in a photo's of what splats take


def _splats(options: Mapping[str, Any], images: Images) -> float:
    """Of training, and of the levels of the descent, whose pictures are small."""
    trained = SPLATS.steps["process"].work(options, images)
    preset = preset_of(options["preset"])
    levels = len(options["descent_altitudes"].split(",")) * options["descent"]
    more = levels * options["descent_iterations"] / (options["iterations"] or preset.iterations)
    return trained * (1 + more)


def _photos(options: Mapping[str, Any], images: Images) -> float:
    """Photos, and those more that would take as long as the maps."""
    maps = _MAP_PER_PHOTO * min(
        images.megapixels * images.count / 4, options["map_size"] ** 2 / 1e6
    )
    return SPLATS.steps["extract"].work(options, images) + maps


PIPELINE = Pipeline(
    name="aerial",
    summary="drone photos from above: splats, an ortho photo, heights and contours on the map",
    steps={
        "prepare": PREPARE,
        "process": Step(
            ProcessOptions,
            (".splat.train", ".aerial.descent"),
            work=_splats,
            smaller="CAP=30000",
            needs="transforms.json",
            shows={"run": "runs/{pipeline}/{group}"},
            afresh="FRESH=1",
        ),
        "extract": Step(
            ExtractOptions,
            (".splat.clean", ".splat.mesh", ".aerial.maps", ".splat.export", ".splat.pictures"),
            work=_photos,
            smaller="MAP_SIZE=2000",
            needs="runs/{pipeline}/",
        ),
    },
    renderer="maquette.recon.splats.renderer",
    is_for_nadir=True,
    smaller={"splats": "SIZE_LIMIT={limit}", "mesh": "RESOLUTION=…"},
)
