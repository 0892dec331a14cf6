"""What Gaussian splats are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maquette.pipelines.pipeline import Images, Pipeline, Step
from maquette.pipelines.prepare import PREPARE
from maquette.pipelines.splat.options import ExtractOptions, ProcessOptions
from maquette.pipelines.splat.presets import preset_of


def _iterations(options: Mapping[str, Any], images: Images) -> float:
    return float(options["iterations"] or preset_of(options["preset"]).iterations)


PIPELINE = Pipeline(
    name="splat",
    summary="Gaussian splats: what photos show, reflections and thin parts too, for viewers",
    steps={
        "prepare": PREPARE,
        "process": Step(
            ProcessOptions,
            (".splat.train",),
            work=_iterations,
            smaller="CAP=30000",
            needs="transforms.json",
            shows={"run": "runs/{pipeline}/{group}"},
            afresh="FRESH=1",
        ),
        "extract": Step(
            ExtractOptions,
            (".splat.clean", ".splat.mesh", ".splat.export", ".splat.pictures"),
            work=lambda options, images: float(images.count),
            smaller="PRUNE_RATIO=0.5",
            needs="runs/{pipeline}/",
        ),
    },
    renderer="maquette.recon.splats.renderer",
    smaller={"splats": "SIZE_LIMIT={limit}", "mesh": "RESOLUTION=…"},
)
