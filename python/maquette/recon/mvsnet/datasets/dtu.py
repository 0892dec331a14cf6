"""DTU's training data as MVSNet's authors prepared it.

Cameras/pair.txt                                   sources of each view
Cameras/train/{view:08d}_cam.txt                   at a quarter of the pictures' size
Rectified/{scan}_train/rect_{view+1:03d}_{light}_r5000.png
Depths/{scan}_train/depth_map_{view:04d}.pfm       at a quarter of the pictures' size
Depths/{scan}_train/depth_visual_{view:04d}.png    where depth is known
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from maquette.counting import counted
from maquette.errors import BadInput
from maquette.recon.mvs.neighbours import read_pairs
from maquette.recon.mvsnet import pfm
from maquette.recon.mvsnet.cloud_errors import Truth
from maquette.recon.mvsnet.datasets import camera_files, dtu_scans
from maquette.recon.mvsnet.datasets.dtu_lists import LISTS
from maquette.recon.mvsnet.datasets.pictures import read_mask, read_picture, size_of, stacked
from maquette.recon.mvsnet.datasets.ranges import PlaneOptions, check_covered, check_unit
from maquette.recon.mvsnet.samples import Sample

KIND = "dtu"
MARKS = ("Cameras", "Rectified", "Depths")  # one of them tells that it is meant to be this
_PAIRS = "Cameras/pair.txt"
_SCALE = 4  # of pictures to depth maps and cameras
_PICTURE = re.compile(r"rect_(\d{3})_(\d)_r5000\.png")
_NAMED = 3
_BRIGHTEST = 3  # of the lights 0 to 6, by which others measure their clouds too


def picture_file(scan: str, view: int, light: int) -> str:
    """Below the data's root; views count from 0."""
    return f"Rectified/{scan}_train/rect_{view + 1:03d}_{light}_r5000.png"


def depth_file(scan: str, view: int) -> str:
    """Below the data's root."""
    return f"Depths/{scan}_train/depth_map_{view:04d}.pfm"


def mask_file(scan: str, view: int) -> str:
    """Below the data's root."""
    return f"Depths/{scan}_train/depth_visual_{view:04d}.png"


def camera_file(view: int) -> str:
    """Below the data's root."""
    return f"Cameras/train/{view:08d}_cam.txt"


def index(root: Path) -> dict[str, Any]:
    """Check that the data are whole, and say what there is: plain JSON values.

    Raises:
        BadInput: what is missing, by name; or pictures and depth that do not belong together.
    """
    _check_layout(root)
    views = len(read_pairs(root / _PAIRS))
    for view in range(views):
        camera_files.read(root / camera_file(view))
    scans = _scans(root)
    lights = {scan: _lights(root, scan, views) for scan in scans}
    for scan in scans:
        _check_maps(root, scan, views)
    parts = {part: _listed(scans, numbers) for part, numbers in LISTS.items()}
    if not parts["training"]:
        raise BadInput(
            f"none of the 79 scans that train is there: `{root / 'Rectified'}`",
            detail=f"found: {', '.join(scans[:_NAMED])}",
            hint="the data hold folders such as Rectified/scan2_train",
        )
    return {"kind": KIND, "views": views, "lights": lights, "scans": parts}


def remarks(found: Mapping[str, Any]) -> list[str]:
    """What a person should know of data that are whole as far as they go."""
    told = []
    for part, numbers in LISTS.items():
        there = set(found["scans"][part])
        lacking = [f"scan{number}" for number in numbers if f"scan{number}" not in there]
        if lacking:
            names = ", ".join(lacking[:_NAMED]) + (" …" if len(lacking) > _NAMED else "")
            told.append(f"{part}: {len(there)} of {len(numbers)} scans; not there: {names}")
    return told


def counts(found: Mapping[str, Any]) -> dict[str, int]:
    """Samples of each part."""
    return {
        part: found["views"] * sum(len(found["lights"][scan]) for scan in scans)
        for part, scans in found["scans"].items()
    }


class Dtu:
    """Samples of some scans: each view of each scan by each light is a reference once."""

    reads_files = True

    def __init__(
        self, root: Path, found: Mapping[str, Any], part: str, options: PlaneOptions
    ) -> None:
        self._root, self._options = root, options
        self._pairs = read_pairs(root / _PAIRS)
        self._cameras = [
            camera_files.read(root / camera_file(view)) for view in range(found["views"])
        ]
        check_covered(options, self._cameras[0])
        self._lights = found["lights"]
        self._places = [
            (scan, light, view)
            for scan in found["scans"][part]
            for view in range(found["views"])
            for light in found["lights"][scan]
        ]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: tuple[int, int]) -> Sample:
        scan, light, reference = self._places[place[0]]
        sources = [view for view, _ in self._pairs[reference]][: self._options.n_views - 1]
        views, name = [reference, *sources], f"{scan} view {reference} light {light}"
        pictures = [read_picture(self._root / picture_file(scan, view, light)) for view in views]
        depth = torch.from_numpy(pfm.read(self._root / depth_file(scan, reference)))
        mask = torch.from_numpy(read_mask(self._root / mask_file(scan, reference)))
        near, far = self._options.span(self._cameras[reference])
        projections = [self._cameras[view].projection(_SCALE) for view in views]
        return Sample(
            stacked(pictures, name),
            torch.stack([torch.from_numpy(one) for one in projections]),
            depth, mask & (depth > 0), near, far, name, unit=1.0,
            scan=scan if light == self._fused_light(scan) else "",
        )  # fmt: skip

    def truth(self, scan: str) -> Truth | None:
        """What the scanner saw of a scan, where its points lie beside the training data."""
        return dtu_scans.read_truth(self._root, scan)

    def _fused_light(self, scan: str) -> int:
        """The light by which a scan's depth maps make a cloud: the brightest, where it is there."""
        lights: list[int] = self._lights[scan]
        return _BRIGHTEST if _BRIGHTEST in lights else lights[0]


def _check_layout(root: Path) -> None:
    needed = [_PAIRS, "Cameras/train", "Rectified", "Depths"]
    lacking = [name for name in needed if not (root / name).exists()]
    if lacking:
        raise BadInput(
            f"not DTU's training data, `{lacking[0]}` is missing: `{root}`",
            detail=f"also missing: {', '.join(lacking[1:])}" if lacking[1:] else "",
            hint="INPUT is the folder that holds Cameras, Rectified and Depths",
        )


def _scans(root: Path) -> list[str]:
    """Names of the scans that have a folder of pictures, by their numbers."""
    folders = [path.name for path in (root / "Rectified").glob("*_train") if path.is_dir()]
    names = [name.removesuffix("_train") for name in folders]
    return sorted(names, key=lambda name: (len(name), name))


def _lights(root: Path, scan: str, views: int) -> list[int]:
    """The lights that all views of a scan have.

    Raises:
        BadInput: a picture is missing that the other views have.
    """
    found = {
        (int(match[1]) - 1, int(match[2]))
        for path in (root / "Rectified" / f"{scan}_train").iterdir()
        if (match := _PICTURE.fullmatch(path.name))
    }
    lights = sorted({light for _, light in found})
    names = [
        picture_file(scan, view, light)
        for view in range(views)
        for light in lights or [0]
        if (view, light) not in found
    ]
    _refuse(root, scan, names)
    return lights


def _check_maps(root: Path, scan: str, views: int) -> None:
    """Raise BadInput unless all depth maps and masks are there, and fit the pictures."""
    files = {path.name for path in (root / "Depths" / f"{scan}_train").glob("*")}
    names = [
        name for view in range(views) for name in (depth_file(scan, view), mask_file(scan, view))
    ]
    _refuse(root, scan, [name for name in names if name.rpartition("/")[2] not in files])
    depth = pfm.read(root / depth_file(scan, 0))
    light = min(_lights(root, scan, views))
    width, height = size_of(root / picture_file(scan, 0, light))
    if depth.shape != (height // _SCALE, width // _SCALE):
        raise BadInput(
            f"depth of {depth.shape[1]}×{depth.shape[0]} for pictures of {width}×{height}: "
            f"`{depth_file(scan, 0)}`",
            hint="DTU's training depth has a quarter of the pictures' size; test data are other",
        )
    check_unit(depth, camera_files.read(root / camera_file(0)), depth_file(scan, 0))


def _refuse(root: Path, scan: str, missing: Sequence[str]) -> None:
    if not missing:
        return
    raise BadInput(
        f"{counted(len(missing), 'file')} of {scan} missing, the first is `{missing[0]}`: `{root}`",
        detail="the download ended early, or is of other data",
        hint=f"copy {scan} again, or remove its folders to train without it",
    )


def _listed(scans: Sequence[str], numbers: Sequence[int]) -> list[str]:
    wanted = {f"scan{number}" for number in numbers}
    return [scan for scan in scans if scan in wanted]
