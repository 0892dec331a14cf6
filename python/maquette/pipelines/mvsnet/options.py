"""Options of learned multi-view stereo; names and defaults of training are MVSNet_pl's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maquette.pipelines.dense import DenseOptions, Depth, SurfaceOptions
from maquette.pipelines.options import StepOptions, option
from maquette.pipelines.training import TrainingStepOptions

Variant = Literal["cascade", "mvsnet"]
Optimizer = Literal["sgd", "adam", "radam", "ranger"]
Scheduler = Literal["steplr", "cosine", "poly"]
_INTEGERS = r"\d+( \d+)*"


@dataclass(frozen=True)
class TrainOptions(TrainingStepOptions):
    """Options of `process` on a data set."""

    iterations: int = option(0, "training iterations, in place of NUM_EPOCHS; 0: by it", low=0)
    network: Variant = option(
        "cascade", "the network; mvsnet: as published, at a quarter of the pictures' size"
    )
    n_views: int = option(3, "pictures of a sample, the reference among them", low=2, high=49)
    n_depths: int = option(
        256, "planes of the sweep; with INTERVAL_SCALE, also the range of depths", low=8, high=1024
    )
    interval_scale: float = option(
        0.8, "distance of planes, in intervals of the data's cameras", above=0.0
    )
    loss_type: Literal["sl1"] = option("sl1", "the loss: smooth L1 of the worst 60 % of pixels")
    batch_size: int = option(1, "samples of an iteration, for each GPU", low=1, high=256)
    num_epochs: int = option(6, "how often each sample is used", low=1)
    optimizer: Optimizer = option("sgd", "sgd, adam, radam or ranger")
    lr: float = option(1e-3, "learning rate", above=0.0)
    momentum: float = option(0.9, "momentum of sgd", low=0.0, high=1.0)
    weight_decay: float = option(1e-5, "weight decay", low=0.0)
    lr_scheduler: Scheduler = option("steplr", "how the rate falls: steplr, cosine or poly")
    warmup_epochs: int = option(0, "epochs in which the rate of sgd and adam rises", low=0)
    warmup_multiplier: float = option(
        1.0, "times LR once it has risen; 1: it rises from 0 to LR", low=1.0
    )
    decay_step: str = option("20", "epochs after which steplr lowers the rate", pattern=_INTEGERS)
    decay_gamma: float = option(0.1, "by which steplr multiplies it", above=0.0, high=1.0)
    poly_exp: float = option(0.9, "exponent of poly", above=0.0)
    use_amp: bool = option(False, "1: convolutions in bfloat16")
    use_syncbn: bool = option(False, "1: normalise over the batches of all GPUs")
    ckpt_path: str = option("", "weights to begin with: ours, or a checkpoint of MVSNet_pl")
    prefixes_to_ignore: str = option("loss", "of names in CKPT_PATH that are left out")
    val_samples: int = option(0, "samples that validation looks at after an epoch; 0: all", low=0)
    exp_name: str = option("exp", "the run's name for people, in its configuration and W&B")


@dataclass(frozen=True)
class ProcessOptions(TrainOptions, DenseOptions):
    """Options of `process`: on a data set training, on photos what makes depth maps of them."""

    checkpoint: str = option(
        "",
        "training: name, path or iteration, empty: the newest; photos: a file of weights, empty: "
        "those of this package",
        once=True,
    )
    depth: Depth = option("mvsnet", "photos: what makes depth maps; patchmatch: no network")


@dataclass(frozen=True)
class TablesOptions(StepOptions):
    """Options of `extract` on a data set."""

    gpus: int = 1  # of the machine; 0: the processor alone
    checkpoint: str = option(
        "", "name, path or iteration; empty: the best on validation data", once=True
    )
    val_samples: int = option(0, "samples of each part that are measured; 0: all", low=0)
    depth_maps: int = option(20, "of them so many are written, as PFM and pictures", low=0)
    clouds: int = option(2, "of each part's clouds of points so many are written, as PLY", low=0)


@dataclass(frozen=True)
class ExtractOptions(TablesOptions, SurfaceOptions):
    """Options of `extract`: on a data set tables and depth maps, on photos a textured mesh."""

    gpus: int = 1  # of the machine; 0: the processor alone
