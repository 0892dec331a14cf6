"""What the surfaces of generated scenes look like: procedural patterns, light and gloss."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_WEAK = 0.15  # of the materials: hardly any contrast
_GLOSSY = 0.3
_FEATURE_PX = (2.5, 25.0)  # log-uniform between them


class Pattern(IntEnum):
    """How a material alternates between its two colours."""

    CLOUDS = 0
    CHECKER = 1
    STRIPES = 2
    CELLS = 3
    DOTS = 4
    BRICKS = 5
    GRAIN = 6


@dataclass(frozen=True)
class Material:
    """A surface's appearance.

    Attributes:
        colors: [2, 3], linear in what the picture shows, 0..1.
        contrast: Between the colours: 0 = their mean everywhere.
        warp: By which the pattern is bent, in features.
        detail: Amplitude of finer noise, which every material has.
        gloss, shininess: Strength and exponent of the light's reflection.
    """

    pattern: Pattern
    colors: Floats
    contrast: float
    warp: float
    detail: float
    gloss: float
    shininess: float

    def row(self) -> Floats:
        """The twelve numbers that the kernel reads."""
        rest = [self.contrast, self.warp, self.detail, self.gloss, self.shininess]
        return np.array([float(self.pattern), *self.colors.reshape(-1), *rest])


def random_material(random: np.random.Generator) -> Material:
    """Any of the patterns in two colours; some of them weak, some glossy."""
    weak = random.random() < _WEAK
    glossy = random.random() < _GLOSSY
    return Material(
        Pattern(int(random.integers(len(Pattern)))),
        _colors(random),
        contrast=random.uniform(0.02, 0.1) if weak else random.uniform(0.35, 1.0),
        warp=random.uniform(0.0, 0.6),
        detail=random.uniform(0.01, 0.05) if weak else random.uniform(0.05, 0.4),
        gloss=random.uniform(0.1, 0.6) if glossy else 0.0,
        shininess=random.uniform(8.0, 80.0),
    )


def _colors(random: np.random.Generator) -> Floats:
    """Two colours [2, 3], from grey to vivid."""
    vivid = random.uniform(0.0, 1.0) ** 2
    grey = random.uniform(0.08, 0.9, (2, 1))
    return np.asarray((1 - vivid) * grey + vivid * random.uniform(0.03, 0.97, (2, 3)))


def feature_size(pixel: float, random: np.random.Generator) -> float:
    """How large the features of a surface are, where a pixel has a width of `pixel`."""
    low, high = np.log(_FEATURE_PX)
    return float(pixel * np.exp(random.uniform(low, high)))
