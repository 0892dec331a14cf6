"""`transforms.json` and the person's own region in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import numpy as np

from maquette.errors import BadInput, MaquetteError, UsageError
from maquette.scene import transforms
from maquette.scene.atomic import replacing, write_json
from maquette.scene.region import Region
from maquette.scene.transforms import Frame, Transforms

Source = Literal["user", "auto"]

SOURCE_KEY = "region_source"
BACKUP = "transforms.before.json"
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


class ChangedMeanwhile(UsageError):
    """Another program wrote the region since this one read it; nothing was written."""


def current(path: Path) -> Region | None:
    """The region that `transforms.json` holds now; None when there is no such file.

    Raises:
        BadInput: the file is unusable.
    """
    return transforms.read(path).region if path.exists() else None


def save(
    path: Path,
    region: Region,
    frames: tuple[Frame, ...],
    source: Source = "user",
    expected: Region | None = None,
) -> None:
    """Put a region into `transforms.json`; every other key stays, the old file is kept beside it.

    Args:
        frames: Cameras for a new file, when there is none yet.
        expected: What the caller read before; None: write whatever is there now.

    Raises:
        ChangedMeanwhile: the file holds another region than `expected`.
        BadInput: the file is unusable, or there is none and no cameras are given.
    """
    before = current(path)
    if expected is not None and before is not None and before.digest != expected.digest:
        raise ChangedMeanwhile(
            f"another window or program changed the region in `{path.name}` meanwhile",
            detail=f"there now: {describe(before)}",
            hint="load it first, or save over it on purpose",
        )
    if before is None:
        _write_new(path, region, frames, source)
        return
    document = transforms.read_document(path) | transforms.region_to(region) | {SOURCE_KEY: source}
    with replacing(path.with_name(BACKUP)) as temporary:
        shutil.copyfile(path, temporary)
    try:
        write_json(path, document)
    except ValueError as error:
        raise BadInput(f"`{path}` holds a number that JSON does not have: {error}") from error


def describe(region: Region) -> str:
    """A region in one line, world units."""
    x, y, z = region.center
    box = ", ".join(f"{low:.4g} .. {high:.4g}" for low, high in region.box)
    return f"center ({x:.4g}, {y:.4g}, {z:.4g}), radius {region.radius:.4g}, box {box}"


def _write_new(path: Path, region: Region, frames: tuple[Frame, ...], source: Source) -> None:
    if not frames:
        raise BadInput(f"there are no cameras to write into `{path}`", hint="run `make prepare`")
    transforms.write(path, Transforms(frames, region), extra={SOURCE_KEY: source})
