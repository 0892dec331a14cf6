"""How many Gaussians fit into a machine's memory."""

from __future__ import annotations

import torch

from maquette.errors import ConfigError
from maquette.recon.system_memory import memory_bytes

_SHARE = 0.6  # of all memory: pixels and the program need the rest
_PARAMETERS = 11  # of a Gaussian, without its colour
_COPIES = 5  # of each: itself, its gradient, two moments, and one while the set grows
_RECORDS = 2 * 16 + 8 * (2 * 16 + 4)  # numbers by ellipse, and by each of some 8 tiles it reaches
_FLOAT = 4


def check_cap(cap: int, degree: int, device: torch.device, processes: int = 1) -> None:
    """Refuse a cap that memory does not allow, before any work.

    Args:
        processes: That train; on a CPU they share the memory, of GPUs each has its own.

    Raises:
        ConfigError: with the largest cap that fits.
    """
    memory = (
        torch.cuda.get_device_properties(device).total_memory
        if device.type == "cuda"
        else memory_bytes() // processes
    )
    most = largest_cap(degree, memory)
    if cap > most:
        raise ConfigError(
            f"{cap:,} Gaussians of degree {degree} do not fit into {memory / 2**30:.1f} GiB",
            hint=f"at most {most:,} do: CAP={most}",
        )


def largest_cap(degree: int, memory: int) -> int:
    """Gaussians that fit into so many bytes, rounded down to thousands."""
    numbers = _COPIES * (_PARAMETERS + 3 * (degree + 1) ** 2) + _RECORDS
    return int(_SHARE * memory / (_FLOAT * numbers)) // 1000 * 1000
