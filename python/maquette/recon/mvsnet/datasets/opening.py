"""Data sets by their kinds: which one a folder holds, and its samples."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maquette.errors import BadInput
from maquette.recon.mvsnet.datasets import dtu, folders, scene_maps
from maquette.recon.mvsnet.datasets.ranges import PlaneOptions
from maquette.recon.mvsnet.samples import SampleSource

_KINDS: Mapping[str, Any] = {
    dtu.KIND: (dtu, dtu.Dtu),
    folders.KIND: (folders, folders.Folders),
    scene_maps.KIND: (scene_maps, scene_maps.SceneMaps),
}


def index(root: Path) -> dict[str, Any]:
    """Check the data in a folder, and say what there is: plain JSON values.

    Raises:
        BadInput: it is none that is known, or not whole.
    """
    for module, _ in _KINDS.values():
        if any(list(root.glob(mark)) or list(root.glob(f"*/{mark}")) for mark in module.MARKS):
            found: dict[str, Any] = module.index(root)
            return found
    raise BadInput(
        f"no data set that is known: `{root}`",
        hint="DTU's training folder (Cameras, Rectified, Depths), scenes with cams and pair.txt "
        "(BlendedMVS), or a scene of ours with depth maps",
    )


def remarks(found: Mapping[str, Any]) -> list[str]:
    """What a person should know of indexed data."""
    told: list[str] = _KINDS[found["kind"]][0].remarks(found)
    return told


def counts(found: Mapping[str, Any]) -> dict[str, int]:
    """Samples of each part of indexed data."""
    told: dict[str, int] = _KINDS[found["kind"]][0].counts(found)
    return told


def describe(root: Path, found: Mapping[str, Any], part: str, planes: PlaneOptions) -> Any:
    """What `open_source` reads, plain JSON values: a part (`training`, `validation`, `test`)."""
    return {"root": str(root), "index": dict(found), "part": part, "planes": vars(planes)}


def open_source(description: Mapping[str, Any]) -> SampleSource:
    """The samples of a part of indexed data.

    Args:
        description: As `describe` gave it; or `module` and `arguments` of another source, made by
            the `open_source(**arguments)` of that module.

    Raises:
        ConfigError: the planes do not cover its depths.
        BadInput: it has gone, or is not whole.
    """
    if "module" in description:
        made: SampleSource = importlib.import_module(description["module"]).open_source(
            **description["arguments"]
        )
        return made
    root, found = Path(description["root"]), description["index"]
    planes = PlaneOptions(**description["planes"])
    source: SampleSource = _KINDS[found["kind"]][1](root, found, description["part"], planes)
    return source
