"""Every training setting, under the names of Neuralangelo's configuration.

A run's configuration is merged from, in this order: the preset, the scene's `config.yaml` (the
generated form, `_parent_` ignored), and the person's overrides `a.b.c=value`. Unknown keys and
unusable values are errors, all reported together.

Counts of iterations in `coarse2fine.step`, `warm_up_end`, `two_steps` and `anneal_end` are
stated for REFERENCE_ITERATIONS and are scaled by schedule.py to the iterations that change the
shape, so that a short run goes through all phases too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

REFERENCE_ITERATIONS = 500_000


@dataclass(frozen=True)
class TrainData:
    image_size: tuple[int, int] | None = None  # H, W: longer side at most this; None: as is
    focus: float = 0.35  # rays this near to the centre come first, see dataset.py; 0: all alike


@dataclass(frozen=True)
class ValData:
    image_size: tuple[int, int] | None = None  # H, W of previews; None: short side 300 at most
    subset: int = 4  # held-out views measured at the end


@dataclass(frozen=True)
class Data:
    train: TrainData = field(default_factory=TrainData)
    val: ValData = field(default_factory=ValData)


@dataclass(frozen=True)
class Mlp:
    num_layers: int = 1  # hidden layers
    hidden_dim: int = 64


@dataclass(frozen=True)
class SdfMlp:
    num_layers: int = 1  # hidden layers
    hidden_dim: int = 64  # the last hidden layer is the feature vector that colour reads
    out_bias: float = 0.5  # radius of the initial sphere, unit space
    inside_out: bool = False  # indoor: free space is inside the surface


@dataclass(frozen=True)
class HashGridConfig:
    min_logres: float = 5
    max_logres: float = 11
    dict_size: int = 22
    dim: int = 8


@dataclass(frozen=True)
class Coarse2fine:
    enabled: bool = True
    init_active_level: int = 4
    step: float = 5000  # iterations a level, of REFERENCE_ITERATIONS


@dataclass(frozen=True)
class Encoding:
    levels: int = 16
    hashgrid: HashGridConfig = field(default_factory=HashGridConfig)
    coarse2fine: Coarse2fine = field(default_factory=Coarse2fine)


@dataclass(frozen=True)
class Gradient:
    mode: str = "numerical"  # the only mode: positions carry no gradient through the hash grid
    taps: int = 4  # 4 (tetrahedron) or 6 (central differences)


@dataclass(frozen=True)
class Sdf:
    mlp: SdfMlp = field(default_factory=SdfMlp)
    encoding: Encoding = field(default_factory=Encoding)
    gradient: Gradient = field(default_factory=Gradient)


@dataclass(frozen=True)
class EncodingView:
    levels: int = 3  # spherical-harmonic bands


@dataclass(frozen=True)
class RgbEncoding:
    levels: int = 0  # colour's own hash grid; 0: colour reads the surface's features only
    hashgrid: HashGridConfig = field(default_factory=lambda: HashGridConfig(4, 10, 17, 2))


@dataclass(frozen=True)
class Rgb:
    mlp: Mlp = field(default_factory=lambda: Mlp(num_layers=2))
    encoding: RgbEncoding = field(default_factory=RgbEncoding)
    encoding_view: EncodingView = field(default_factory=EncodingView)


@dataclass(frozen=True)
class SVar:
    init_val: float = 0.3  # sharpness s = exp(10 · value), NeuS section 3.1
    anneal_end: float = 0.0  # iterations until `final_val` is reached at the latest; 0: free
    final_val: float = 0.0


@dataclass(frozen=True)
class ObjectModel:
    sdf: Sdf = field(default_factory=Sdf)
    rgb: Rgb = field(default_factory=Rgb)
    s_var: SVar = field(default_factory=SVar)


@dataclass(frozen=True)
class BackgroundEncoding:
    levels: int = 8
    hashgrid: HashGridConfig = field(default_factory=lambda: HashGridConfig(4, 9, 17, 4))


@dataclass(frozen=True)
class Background:
    enabled: bool = True
    mlp: Mlp = field(default_factory=Mlp)
    encoding: BackgroundEncoding = field(default_factory=BackgroundEncoding)


@dataclass(frozen=True)
class NumSamples:
    coarse: int = 64  # spread over the whole ray
    fine: int = 16  # near the surface
    background: int = 32
    shaded: int = 16  # places a ray whose colour is asked for


@dataclass(frozen=True)
class Render:
    rand_rays: int = 512
    num_samples: NumSamples = field(default_factory=NumSamples)
    num_sample_hierarchy: int = 4  # passes that concentrate fine samples
    cache_resolution: int = 128  # cells of the distance cache that guides sampling


@dataclass(frozen=True)
class AppearEmbed:
    enabled: bool = False
    dim: int = 8


@dataclass(frozen=True)
class Model:
    kernels: str = "warp"  # how to compute the hot loops: `warp`, or `torch` (the slow reference)
    object: ObjectModel = field(default_factory=ObjectModel)
    background: Background = field(default_factory=Background)
    render: Render = field(default_factory=Render)
    appear_embed: AppearEmbed = field(default_factory=AppearEmbed)


@dataclass(frozen=True)
class LossWeight:
    render: float = 1.0
    eikonal: float = 0.1
    curvature: float = 5e-4
    landmark: float = 3.0  # agreement with the sparse points of structure from motion
    veil: float = 0.01  # what hides the region from cameras outside it
    sky: float = 0.1  # what hides the sky


@dataclass(frozen=True)
class AmpConfig:
    enabled: bool = True  # colours in bfloat16, on GPUs that compute with it


@dataclass(frozen=True)
class TrainerConfig:
    amp_config: AmpConfig = field(default_factory=AmpConfig)
    cuda_graphs: bool = True  # replay an iteration's kernels as one, on one GPU
    loss_weight: LossWeight = field(default_factory=LossWeight)


@dataclass(frozen=True)
class OptimParams:
    lr: float = 1e-3
    lr_encoding: float = 1e-2  # of the hash tables
    weight_decay: float = 1e-2


@dataclass(frozen=True)
class Sched:
    type: str = "two_steps_with_warmup"
    warm_up_end: float = 5000  # iterations, of REFERENCE_ITERATIONS
    two_steps: tuple[float, float] = (300_000, 400_000)  # the same
    gamma: float = 10.0  # the rate is divided by this at each of the two steps
    shape_share: float = 1.0  # of the run; then the shape stands still and colours are finished
    held_shape_share: float = 1.0  # of that, where dense points show all of the surface


@dataclass(frozen=True)
class Optim:
    type: str = "AdamW"
    params: OptimParams = field(default_factory=OptimParams)
    sched: Sched = field(default_factory=Sched)


@dataclass(frozen=True)
class CheckpointConfig:
    save_iter: int = 20_000  # save every so many iterations besides by the clock; 0: not
    keep: int = 3  # newest ones kept, besides those that end a run


@dataclass(frozen=True)
class TrainingConfig:
    """All of one run."""

    max_iter: int = 2000
    logging_iter: int = 20
    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    optim: Optim = field(default_factory=Optim)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
