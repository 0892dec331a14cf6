"""Which photographs a method learns from, and which judge it."""

from __future__ import annotations

from collections.abc import Sequence

from maquette.scene.transforms import Frame

_HELD_OUT_EVERY, _HELD_OUT_FIRST, _HELD_OUT_FROM = 8, 4, 12


def split(frames: Sequence[Frame]) -> tuple[list[Frame], list[Frame]]:
    """Training and held-out frames: by path, every 8th is held out when there are 12 or more."""
    ordered = sorted(frames, key=lambda frame: frame.file_path)
    chosen = held_out_of(len(ordered))
    kept = [frame for number, frame in enumerate(ordered) if number not in chosen]
    return kept, [ordered[number] for number in chosen]


def held_out_of(count: int) -> range:
    """The numbers of the held-out ones among so many frames, which stand in their paths' order."""
    return range(_HELD_OUT_FIRST, count if count >= _HELD_OUT_FROM else 0, _HELD_OUT_EVERY)
