"""What the neural surface is."""

from __future__ import annotations

from maquette.pipelines.neuralangelo.options import ExtractOptions, ProcessOptions
from maquette.pipelines.pipeline import Pipeline, Step
from maquette.pipelines.prepare import PREPARE

PIPELINE = Pipeline(
    name="neuralangelo",
    summary="a closed mesh from a neural surface: best where people walked all around",
    steps={
        "prepare": PREPARE,
        "process": Step(
            ProcessOptions,
            ("train",),
            work=lambda options, images: float(options["iterations"]),
            smaller="PRESET=preview",
            needs="transforms.json",
        ),
        "extract": Step(
            ExtractOptions,
            ("mesh", "pictures"),
            work=lambda options, images: options["resolution"] ** 3 / 1e6,
            smaller="BLOCK_RES=64",
            needs="runs/",
        ),
    },
    renderer="maquette.recon.surface.renderer",
)
