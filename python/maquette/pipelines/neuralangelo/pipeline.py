"""What the neural surface is."""

from __future__ import annotations

from maquette.pipelines.neuralangelo.options import ExtractOptions, ProcessOptions
from maquette.pipelines.pipeline import OURS, Engine, Pipeline, Step
from maquette.pipelines.prepare import PREPARE

UPSTREAM_READS = frozenset({
    "DOWNSAMPLE_RATE", "SCENE_TYPE", "ITERATIONS", "OVERRIDES",
    "RESOLUTION", "BLOCK_RES", "CHECKPOINT", "TEXTURED", "KEEP_LCC",
})  # fmt: skip

PIPELINE = Pipeline(
    name="neuralangelo",
    summary="a mesh from a neural surface: best where people walked all around",
    steps={
        "prepare": PREPARE,
        "process": Step(
            ProcessOptions,
            (
                ".surface.neighbours",
                ".surface.depthmaps",
                ".surface.consistency",
                ".surface.fuse",
                ".surface.train",
            ),
            work=lambda options, images: float(options["iterations"]),
            smaller="PRESET=preview",
            needs="transforms.json",
            shows={"run": "runs/{pipeline}/{group}"},
            afresh="FRESH=1",
        ),
        "extract": Step(
            ExtractOptions,
            (".surface.mesh", ".surface.pictures"),
            work=lambda options, images: options["resolution"] ** 3 / 1e6,
            smaller="BLOCK_RES=64",
            needs="runs/{pipeline}/",
        ),
    },
    engines=(
        OURS,
        Engine(
            "nvlabs",
            "NVlabs/neuralangelo: NVIDIA Source Code License, non-commercial use on NVIDIA GPUs "
            "only; its prepare is COLMAP 3.8 (BSD) in an image by a third party",
            is_commercial=False,
            reads=UPSTREAM_READS,
        ),
    ),
    renderer="maquette.recon.surface.renderer",
    smaller={"mesh": "RESOLUTION=…"},
)
