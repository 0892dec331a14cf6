"""How much memory pixels may take on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import torch

_SHARE = 0.2
_CGROUP = Path("/sys/fs/cgroup")


def cache_bytes(device: torch.device, processes: int = 1) -> int:
    """The share of a device's memory that pixels may take in each of some processes.

    It is a share of all memory, not of what happens to be free, so that it is the same in every
    process of a run and when the run is resumed.
    """
    if device.type == "cuda":
        return int(_SHARE * torch.cuda.get_device_properties(device).total_memory)
    return int(_SHARE * memory_bytes() / processes)


def memory_bytes(cgroup: Path = _CGROUP) -> int:
    """Memory of this machine, or of the container where that is less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            return min(whole, int((cgroup / name).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return whole
