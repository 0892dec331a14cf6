"""Which photographs a method learns from, and which judge it."""

from __future__ import annotations

from collections.abc import Sequence

from maquette.scene.transforms import Frame

_HELD_OUT_EVERY, _HELD_OUT_FIRST, _HELD_OUT_FROM = 8, 4, 12


def split(frames: Sequence[Frame]) -> tuple[list[Frame], list[Frame]]:
    """Training and held-out frames: by path, every 8th is held out when there are 12 or more."""
    ordered = sorted(frames, key=lambda frame: frame.file_path)
    if len(ordered) < _HELD_OUT_FROM:
        return ordered, []
    held_out = ordered[_HELD_OUT_FIRST::_HELD_OUT_EVERY]
    kept = [f for i, f in enumerate(ordered) if i % _HELD_OUT_EVERY != _HELD_OUT_FIRST]
    return kept, held_out
