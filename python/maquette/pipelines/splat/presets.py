"""How much a preset of splats computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Name = Literal["auto", "preview", "quick", "standard", "full"]


@dataclass(frozen=True)
class Preset:
    """What a preset stands for.

    Attributes:
        iterations: Of training.
        cap: Most Gaussians.
        degree: Of the harmonics of colour.
        long_side: Of the largest photographs that train, pixels; 0: as they are.
    """

    iterations: int
    cap: int
    degree: int
    long_side: int = 0


PRESETS = {
    "preview": Preset(700, 20_000, 1, 400),
    "quick": Preset(3_000, 90_000, 1, 640),
    "standard": Preset(30_000, 1_000_000, 3, 1_600),
    "full": Preset(30_000, 3_000_000, 3),
}
ON_A_CPU, ON_A_GPU = "quick", "standard"


def preset_of(name: str, has_gpu: bool = False) -> Preset:
    """A preset by its name; `auto` is by hardware."""
    if name == "auto":
        name = ON_A_GPU if has_gpu else ON_A_CPU
    return PRESETS[name]
