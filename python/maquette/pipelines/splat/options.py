"""Options of Gaussian splats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maquette.pipelines.options import StepOptions, option, parse_size
from maquette.pipelines.splat.presets import Name
from maquette.pipelines.training import TrainingStepOptions

Background = Literal["shell", "sky", "ground", "black"]
_FORMAT = "(ply|splat|sog|spz|glb)"


@dataclass(frozen=True)
class ProcessOptions(TrainingStepOptions):
    """Options of `process`."""

    iterations: int = option(
        0, "photos to train with, one an iteration or BATCH; schedules scale; 0: by PRESET", low=0
    )
    batch: int = option(0, "photos of an iteration, shared among GPUs; 0: one for each", low=0)
    preset: Name = option("auto", "how much to compute; auto: quick on a CPU, standard on a GPU")
    cap: int = option(0, "most splats; 0: by PRESET", low=0)
    strategy: Literal["mcmc", "classic"] = option(
        "mcmc", "how splats are added and removed; mcmc: moved to where they help, up to CAP"
    )
    degree: int = option(
        -1, "of the harmonics that colours vary with by direction; -1: by PRESET", low=-1, high=3
    )
    background: Background = option(
        "shell",
        "what lies behind all; shell: far splats, sky: one colour that is learned, ground: the "
        "plane below, all that photos from above can see",
    )
    auto_exposure_wb: bool = option(False, "1: exposure or white balance varies")
    refine_poses: bool = option(
        False, "1: cameras are moved too while splats are trained, until the last fifth"
    )
    depth_weight: float = option(
        0.0, "how much the depths of sparse points count beside the photos", low=0.0
    )
    normal_weight: float = option(
        0.0, "how much splats must lie in the surface of their depths; 0.05 for WITH_MESH", low=0.0
    )


@dataclass(frozen=True)
class ExtractOptions(StepOptions):
    """Options of `extract`."""

    gpus: int = 1  # of the machine; 0: the processor alone
    checkpoint: str = option("", "name, path or iteration; empty: the newest", once=True)
    crop: bool = option(True, "keep only splats in the region; 0: the surroundings too")
    min_opacity: float = option(0.02, "fainter splats go", low=0.0, high=1.0)
    max_elongation: float = option(
        25.0, "splats whose longest axis is so many times the second go; 0: none", low=0.0
    )
    prune_ratio: float = option(
        0.0, "share of the least important splats that goes, e.g. 0.2", low=0.0, high=0.99
    )
    with_mesh: bool = option(False, "1: a mesh of their surface too, _mesh.ply and .glb")
    resolution: int = option(
        0,
        "cells of that mesh along the sphere's diameter; 0: one for 3 pixels, at most 1024",
        low=0,
        high=8192,
    )
    formats: str = option(
        "splat sog", "files to publish, of splat, sog, spz, glb; a .ply is always written",
        pattern=f"{_FORMAT}( {_FORMAT})*",
    )  # fmt: skip
    streamed: bool = option(
        False, "1: in parts and levels of detail too, which pages show while they load"
    )
    size_limit: int = option(
        "", "the most that a published file may take, e.g. 20MB; empty: any", parse=parse_size
    )
    scene_scale: float = option(1.0, "factor on positions and sizes in published files", above=0.0)
    content_license: str = option("", "of the content, e.g. CC-BY-4.0, for manifest.json")
    movie: bool = option(False, "1: a film along the cameras' way, as .mp4")
