"""How a network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from maquette.recon.mvsnet.optimizers import Rates
from maquette.recon.mvsnet.options import NetworkOptions


@dataclass(frozen=True)
class TrainingOptions:
    """What decides a run, besides its data.

    Attributes:
        variant: Of the network, a name of `networks.VARIANTS`.
        batch_size: Samples of an iteration, for each process that trains.
        num_epochs: How often each sample is used.
        iterations: In place of epochs; 0: by them.
        loss_type: `sl1`, the only one.
        use_amp: Compute the convolutions in bfloat16.
        use_syncbn: Normalise over the batches of all GPUs.
        ckpt_path: Weights to begin with; "": random ones.
        prefixes_to_ignore: Of names in that checkpoint that are left out.
        val_samples: Samples that validation looks at; 0: all.
        name: Of the run, for people.
        planes: What samples are asked for, as `datasets.ranges.PlaneOptions` names it.
        seed: Of the first weights and of the order of samples.
    """

    variant: str = "cascade"
    network: NetworkOptions = field(default_factory=NetworkOptions)
    rates: Rates = field(default_factory=Rates)
    batch_size: int = 1
    num_epochs: int = 6
    iterations: int = 0
    loss_type: str = "sl1"
    use_amp: bool = False
    use_syncbn: bool = False
    ckpt_path: str = ""
    prefixes_to_ignore: tuple[str, ...] = ("loss",)
    val_samples: int = 0
    name: str = ""
    planes: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values that `from_mapping` reads back."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> TrainingOptions:
        """Undo `to_mapping`; lists become tuples."""
        plain = {name: _tupled(value) for name, value in values.items()}
        network = {name: _tupled(value) for name, value in plain.pop("network").items()}
        rates = {name: _tupled(value) for name, value in plain.pop("rates").items()}
        return cls(network=NetworkOptions(**network), rates=Rates(**rates), **plain)


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
