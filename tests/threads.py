"""How many threads compute: one a process, but where a test is about several.

The run's workers share the processors already. More threads than those turn in circles while they
wait for one another, which was most of the processor time of what trains, and they round otherwise
on every machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_OURS = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def one_a_process() -> None:
    """Tell torch and numpy, here and in all that tests start; before either is loaded."""
    for name, value in _OURS.items():
        os.environ.setdefault(name, value)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch, and our kernels, use so many in this process."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
