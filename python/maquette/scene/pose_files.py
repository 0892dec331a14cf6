"""Files by which other programs tell the poses of photos, known by name and content."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

COLMAP = ("cameras", "images")
_OF_COLMAP = (*COLMAP, "points3D", "frames", "rigs")
_NAMES = frozenset(
    [f"{name}{suffix}" for name in _OF_COLMAP for suffix in (".bin", ".txt")]
    + ["transforms.json", "cameras_sphere.npz", "cameras.npz"]
)
_POLYCAM = {"t_00", "t_23", "fx", "width", "height"}
_POLYCAM_BYTES = 10_000


def among(files: Sequence[Path]) -> list[Path]:
    """Those of an input's files that tell poses, whichever will be used."""
    return [
        path for path in files
        if path.name in _NAMES or path.suffix == ".log" or is_polycam(path)
    ]  # fmt: skip


def is_polycam(path: Path) -> bool:
    """Whether a file is the camera of one of Polycam's photos."""
    if path.suffix != ".json" or path.stat().st_size > _POLYCAM_BYTES:
        return False
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and told.keys() >= _POLYCAM
