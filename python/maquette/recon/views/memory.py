"""How much memory pixels may take on this machine."""

from __future__ import annotations

import torch

from maquette.recon.system_memory import memory_bytes

_SHARE = 0.2


def cache_bytes(device: torch.device, processes: int = 1) -> int:
    """The share of a device's memory that pixels may take in each of some processes.

    It is a share of all memory, not of what happens to be free, so that it is the same in every
    process of a run and when the run is resumed.
    """
    if device.type == "cuda":
        return int(_SHARE * torch.cuda.get_device_properties(device).total_memory)
    return int(_SHARE * memory_bytes() / processes)
