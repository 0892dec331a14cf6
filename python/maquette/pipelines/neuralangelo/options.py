"""Options of the neural surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from maquette.pipelines.options import ShardedStepOptions, option
from maquette.pipelines.training import TrainingStepOptions, parse_overrides

Preset = Literal["auto", "preview", "standard", "full-8gb", "full-12gb", "full-16gb", "full"]
Dense = Literal["auto", "off"]
Unseen = Literal["drop", "keep", "fill"]
Refine = Literal["auto", "0", "1"]


@dataclass(frozen=True)
class ProcessOptions(TrainingStepOptions):
    """Options of `process`."""

    preset: Preset = option(
        "auto", "how much to compute; full-8gb … fit smaller GPUs; auto: by hardware"
    )
    dense: Dense = option(
        "auto",
        "start from and keep to points of dense stereo: those of another pipeline, or quick ones "
        "made first",
    )
    overrides: dict[str, Any] = option(
        "", "training settings by key, e.g. 'optim.params.lr=5e-4 data.val.subset=2'",
        parse=parse_overrides,
    )  # fmt: skip


@dataclass(frozen=True)
class ExtractOptions(ShardedStepOptions):
    """Options of `extract`."""

    gpus: int = 1  # of the machine; 0: the processor alone
    resolution: int = option(512, "cells along the sphere's diameter", low=8, high=8192)
    block_res: int = option(128, "cells along a block; less = less memory", low=8, high=1024)
    checkpoint: str = option("", "name, path or iteration; empty: the newest", once=True)
    textured: bool = option(True, "0: no vertex colours")
    keep_lcc: bool = option(False, "1: keep only the largest part of the whole mesh")
    refine: Refine = option(
        "auto", "1: move the mesh to where the photos agree best; auto: if they are from all around"
    )
    unseen: Unseen = option(
        "drop", "surface that fewer than two photos saw; fill: a closed model, grey there"
    )
