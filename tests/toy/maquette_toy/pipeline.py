"""What the toy is."""

from __future__ import annotations

from maquette.pipelines.pipeline import Pipeline, Step
from maquette.pipelines.prepare import PREPARE
from maquette_toy.options import ExtractOptions, ProcessOptions

PIPELINE = Pipeline(
    name="toy",
    summary="a ball where each camera was",
    steps={
        "prepare": PREPARE,
        "process": Step(
            ProcessOptions,
            ("maquette_toy.stages.pick", "maquette_toy.stages.weigh"),
            work=lambda options, images: images.count / options["every"],
            smaller="EVERY=2",
            needs="transforms.json",
            shows={"centres": "runs/{pipeline}/{group}/weighed.json"},
        ),
        "extract": Step(
            ExtractOptions,
            ("maquette_toy.stages.balls",),
            work=lambda options, images: float(images.count),
            smaller="BALL_SIZE=0.01",
            needs="runs/{pipeline}/",
        ),
    },
)
