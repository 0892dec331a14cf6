"""The state of random generators, as a checkpoint holds it."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def random_state(sampler: torch.Generator) -> dict[str, Any]:
    """The state of every random generator in the process, and of the run's own."""
    _, keys, position, has_gauss, gauss = np.random.get_state()
    version, internal, gauss_next = random.getstate()
    return {
        "sampler": sampler.get_state(),
        "torch": torch.get_rng_state(),
        "numpy": [torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, gauss],
        "python": [version, list(internal), gauss_next],
    }


def restore_random_state(state: dict[str, Any], sampler: torch.Generator) -> None:
    """Undo `random_state`; a sampler of another device keeps its own state."""
    if state["sampler"].shape == sampler.get_state().shape:
        sampler.set_state(state["sampler"])
    torch.set_rng_state(state["torch"])
    keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
