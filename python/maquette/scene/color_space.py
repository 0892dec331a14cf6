"""Between sRGB, as pictures and PLY files hold colours, and linear light, as glTF does.

Source: IEC 61966-2-1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def linear_from_srgb(srgb: ArrayLike) -> FloatArray:
    """Linear light of sRGB values, both 0..1, any shape."""
    value = np.clip(np.asarray(srgb, dtype=np.float64), 0.0, 1.0)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(linear: ArrayLike) -> FloatArray:
    """SRGB values of linear light, both 0..1, any shape."""
    value = np.clip(np.asarray(linear, dtype=np.float64), 0.0, 1.0)
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)
