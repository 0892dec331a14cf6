"""Fewer points than there are, for windows that draw slowly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def choose(inside: NDArray[np.bool_], outside: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    """Choose points to draw, half of them inside where there are enough, as evenly as they come.

    Args:
        inside: [P] which could be drawn and lie in the region.
        outside: [P] which could be drawn and lie outside.
        most: How many to choose; all where there are fewer.
    """
    counts = int(inside.sum()), int(outside.sum())
    near = min(counts[0], max(most // 2, most - counts[1]))
    chosen = np.zeros(len(inside), bool)
    for part, count in ((inside, near), (outside, min(counts[1], most - near))):
        places = np.flatnonzero(part)
        chosen[places[np.arange(count) * len(places) // max(count, 1)]] = True
    return chosen
