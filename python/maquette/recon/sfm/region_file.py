"""`transforms.json` and the person's own region in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from maquette.errors import MaquetteError
from maquette.scene import transforms
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

SOURCE_KEY = "region_source"
_TOLERANCE = 1e-6


def kept_region(path: Path, frames: tuple[Frame, ...]) -> tuple[Region | None, str]:
    """The region that a person set in `transforms.json`, if it still means the same place.

    Returns:
        The region, or None; and what to tell the person, or "".
    """
    try:
        document = transforms.read_document(path)
        if document.get(SOURCE_KEY) != "user":
            return None, ""
        before = transforms.read(path)
    except MaquetteError:
        return None, ""
    if same_poses(before.frames, frames):
        return before.region, "your own region is kept: the cameras did not move"
    return None, (
        "the cameras moved, so your own region no longer means the same place and is replaced; "
        "it is kept in stages/region_user.json"
    )


def same_poses(one: tuple[Frame, ...], other: tuple[Frame, ...]) -> bool:
    """Whether two camera lists agree in names and, to rounding, in poses."""
    first = {frame.file_path: frame.world_from_cam for frame in one}
    second = {frame.file_path: frame.world_from_cam for frame in other}
    if first.keys() != second.keys():
        return False
    scale = max(float(np.abs(pose).max()) for pose in first.values())
    return all(np.allclose(first[name], second[name], atol=_TOLERANCE * scale) for name in first)


def as_document(region: Region) -> dict[str, Any]:
    """A region under the keys that `transforms.json` uses."""
    return {
        "sphere_center": list(region.center),
        "sphere_radius": region.radius,
        "aabb_range": [list(limits) for limits in region.box],
    }
