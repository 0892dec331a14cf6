"""The most memory that this process held on its GPU; imports no torch where none is used."""

from __future__ import annotations

import sys
from typing import Any


class TorchMeter:
    """Asks torch, once a stage has imported it and uses a GPU; helpers on other GPUs hold alike."""

    def reset(self) -> None:
        """Begin anew."""
        if cuda := _cuda_in_use():
            cuda.reset_peak_memory_stats()

    def peak_bytes(self) -> int:
        """The most that was allocated since; 0 where no GPU is used."""
        cuda = _cuda_in_use()
        return int(cuda.max_memory_allocated()) if cuda else 0


def _cuda_in_use() -> Any:
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_initialized() else None
