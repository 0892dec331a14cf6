"""Stages of learned multi-view stereo."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from maquette.recon.mvsnet.datasets import location
from maquette.scene import checkpoints
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.declaring import deferred, named
from maquette.stages.stage import DeclaredOptions, Stage

RATES = (
    "optimizer", "lr", "momentum", "weight_decay", "lr_scheduler", "warmup_multiplier",
    "warmup_epochs", "decay_gamma", "poly_exp",
)  # fmt: skip
OWN = (
    "batch_size", "num_epochs", "iterations", "loss_type", "use_amp", "use_syncbn",
    "ckpt_path", "val_samples", "seed",
)  # fmt: skip


def _bring(scene: Scene, options: DeclaredOptions, progress: Progress) -> None:
    """Write down where the data lie; their files' names and sizes are this stage's key."""
    location.note(scene, options.input)


def _index_and_pointer(scene: Scene, options: DeclaredOptions) -> Iterable[Path]:
    pointer = scene.run(options.group) / checkpoints.POINTER
    return [location.index_file(scene), *([pointer] if pointer.is_file() else [])]


STAGES = named(
    Stage(
        "index",
        1,
        deferred(__name__, "index"),
        files=lambda scene, options: (location.listing_file(scene),),
        bring=_bring,
        reads=("input",),
    ),
    Stage(
        "train",
        1,
        deferred(__name__, "train"),
        parameters=(
            "group",
            "network",
            *OWN,
            *RATES,
            "decay_step",
            "prefixes_to_ignore",
            "n_views",
            "n_depths",
            "interval_scale",
        ),
        reads=("gpus", "fresh", "checkpoint", "save_minutes", "wandb", "exp_name"),
        after=("index",),
        files=lambda scene, options: (location.index_file(scene),),
        packages=("torch", "warp-lang"),
    ),
    Stage(
        "tables",
        2,
        deferred(__name__, "tables"),
        parameters=("group", "checkpoint", "val_samples", "depth_maps", "clouds"),
        reads=("gpus",),
        after=("index", "train"),
        files=_index_and_pointer,
        packages=("torch", "warp-lang"),
    ),
)
