"""Rectangles on pages, by skyline: each as low as it goes, the tallest first.

Source: bottom-left skyline packing, Jylänki, "A thousand ways to pack the bin", 2010.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

Integers = NDArray[np.int64]
_FILLED = 0.75  # of a page, as far as can be counted on
_STEP = 16  # sides of pages are multiples of it


@dataclass(frozen=True)
class Packing:
    """Where rectangles lie.

    Attributes:
        page: [C].
        origin: [C, 2], column and row of the corner at the top left.
        sizes: Width and height of each page.
    """

    page: Integers
    origin: Integers
    sizes: list[tuple[int, int]]


def pack(size: Integers, order: Integers, longest: int) -> Packing:
    """Pack rectangles on as many square pages as they need.

    Args:
        size: [C, 2] width and height, each at most `longest`.
        order: [C] a number of each; those near in number come on one page where there are many.
        longest: The longest side of a page.
    """
    area = size.prod(axis=1)
    groups = max(1, int(np.ceil(area.sum() / (_FILLED * longest**2))))
    width = longest
    if groups == 1:
        needed = max(int(np.sqrt(area.sum() / _FILLED)), int(size.max(initial=1)))
        width = min(longest, -(-needed // _STEP) * _STEP)
    row = np.argsort(order, kind="stable")
    group = np.zeros(len(size), np.int64)
    group[row] = np.minimum(np.cumsum(area[row]) * groups // max(int(area.sum()), 1), groups - 1)
    packing = Packing(np.zeros(len(size), np.int64), np.zeros_like(size), [])
    left = np.zeros(0, np.int64)
    for number in range(groups):
        left = _fill(packing, size, np.concatenate([left, np.flatnonzero(group == number)]),
                     width, longest)  # fmt: skip
    while len(left):
        left = _fill(packing, size, left, width, longest)
    return packing


def _fill(packing: Packing, size: Integers, some: Integers, width: int, longest: int) -> Integers:
    """Put rectangles on a new page; return those that find no place."""
    skyline = np.zeros(width, np.int64)
    page, left = len(packing.sizes), []
    for index in some[np.argsort(-size[some, 1], kind="stable")]:
        wide, high = (int(side) for side in size[index])
        tops = maximum_filter1d(skyline, wide, origin=-(wide // 2))[: width - wide + 1]
        column = int(np.argmin(tops))
        if tops[column] + high > longest:
            left.append(index)
            continue
        packing.page[index] = page
        packing.origin[index] = column, tops[column]
        skyline[column : column + wide] = tops[column] + high
    height = max(int(skyline.max(initial=0)), 1)
    packing.sizes.append((width, min(longest, -(-height // _STEP) * _STEP)))
    return np.array(left, np.int64)
