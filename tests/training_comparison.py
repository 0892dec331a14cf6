"""Whether two states of training runs are the same."""

from __future__ import annotations

from typing import Any

import torch


def same(left: Any, right: Any) -> bool:
    """Whether two states are bitwise equal."""
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
