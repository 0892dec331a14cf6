"""What Gaussian splats are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maquette.pipelines.pipeline import Images, Pipeline, Step
from maquette.pipelines.prepare import PREPARE
from maquette.pipelines.splat.options import ExtractOptions, ProcessOptions
from maquette.pipelines.splat.presets import preset_of

_ASPECT = 0.75
_SPLATS_PER_PIXEL = 0.115  # that take as long in a step as a pixel of its photo does
_MESHED_SIDE, _MESH_PER_PIXEL = 1200, 4.6e-6  # depth of a pixel, in the rest of a photo's work


def _splats(options: Mapping[str, Any], images: Images) -> float:
    """Millions of splats in all steps, and what takes as long as these."""
    preset = preset_of(options["preset"])
    pixels = _pixels(images, preset.long_side)
    splats = (options["cap"] or preset.cap) + _SPLATS_PER_PIXEL * pixels
    return (options["iterations"] or preset.iterations) * splats / 1e6


def _photos(options: Mapping[str, Any], images: Images) -> float:
    """Photos, those more that would take as long as the depths of a mesh."""
    depths = options["with_mesh"] * _MESH_PER_PIXEL * _pixels(images, _MESHED_SIDE)
    return images.count * (1 + depths)


def _pixels(images: Images, long_side: int) -> float:
    """Of a photo that is reduced to a side; 0: as it is."""
    own = images.megapixels * 1e6
    return min(own, _ASPECT * long_side**2) if long_side else own


PIPELINE = Pipeline(
    name="splat",
    summary="Gaussian splats: what photos show, reflections and thin parts too, for viewers",
    steps={
        "prepare": PREPARE,
        "process": Step(
            ProcessOptions,
            (".splat.train",),
            work=_splats,
            smaller="CAP=30000",
            needs="transforms.json",
            shows={"run": "runs/{pipeline}/{group}"},
            afresh="FRESH=1",
        ),
        "extract": Step(
            ExtractOptions,
            (".splat.clean", ".splat.mesh", ".splat.export", ".splat.pictures"),
            work=_photos,
            smaller="PRUNE_RATIO=0.5",
            needs="runs/{pipeline}/",
        ),
    },
    renderer="maquette.recon.splats.renderer",
    smaller={"splats": "SIZE_LIMIT={limit}", "mesh": "RESOLUTION=…"},
)
