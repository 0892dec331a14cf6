"""Scenes in MVSNet's folders, as BlendedMVS and COLMAP's converter have them.

cams/{view:08d}_cam.txt, pair.txt (beside or in cams)
blended_images/{view:08d}.jpg or images/{view:08d}.*      pictures
rendered_depth_maps/{view:08d}.pfm or depths/{view:08d}.pfm
training_list.txt, validation_list.txt                    beside the scenes, where there are any
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from maquette.errors import BadInput
from maquette.recon.mvs.neighbours import Pairs, read_pairs
from maquette.recon.mvsnet import pfm
from maquette.recon.mvsnet.datasets import camera_files
from maquette.recon.mvsnet.datasets.pictures import read_picture, size_of, stacked
from maquette.recon.mvsnet.datasets.ranges import (
    INTERVAL_MM,
    PlaneOptions,
    check_covered,
    check_unit,
)
from maquette.recon.mvsnet.samples import Sample

KIND = "folders"
MARKS = ("cams", "blended_images", "rendered_depth_maps")
_PICTURES = ("blended_images", "images")
_DEPTHS = ("rendered_depth_maps", "depths")
_SUFFIXES = (".jpg", ".png", ".jpeg")
_EVERY = 8  # views of a scene alone, and scenes without lists: the eighth is held out
_LISTS = {"training": "training_list.txt", "validation": "validation_list.txt"}


def index(root: Path) -> dict[str, Any]:
    """Check that the scenes are whole, and say what there is: plain JSON values.

    Raises:
        BadInput: what is missing, by name.
    """
    names = _scene_names(root)
    views = {name: _checked_views(root / name, name or root.name) for name in names}
    return {"kind": KIND, "scenes": _parts(root, names), "views": views}


def remarks(found: Mapping[str, Any]) -> list[str]:
    """Nothing is left out silently."""
    alone = len(found["views"]) == 1
    return ["one scene: every 8th view is held out, not whole scenes"] if alone else []


def counts(found: Mapping[str, Any]) -> dict[str, int]:
    """Samples of each part."""
    return {
        part: sum(len(_held(found["views"][name], part, found)) for name in names)
        for part, names in found["scenes"].items()
    }


class Folders:
    """Samples of some scenes: each view with a depth map is a reference once."""

    reads_files = True

    def __init__(
        self, root: Path, found: Mapping[str, Any], part: str, options: PlaneOptions
    ) -> None:
        self._root, self._options = root, options
        self._pairs: dict[str, Pairs] = {}
        self._places = []
        for name in found["scenes"].get(part, []):
            self._pairs[name] = read_pairs(_pair_file(root / name))
            views = found["views"][name]
            self._places += [(name, view) for view in _held(views, part, found)]
        for name, view in self._places[:1]:
            check_covered(options, camera_files.read(_camera_file(root / name, view)))

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: tuple[int, int]) -> Sample:
        name, reference = self._places[place[0]]
        folder = self._root / name
        sources = [view for view, _ in self._pairs[name][reference]][: self._options.n_views - 1]
        views, shown = [reference, *sources], f"{name or self._root.name} view {reference}"
        if len(views) < 2:
            raise BadInput(f"one view alone shows no depth: `{shown}`", hint=_ONE_VIEW)
        cameras = [camera_files.read(_camera_file(folder, view)) for view in views]
        depth = torch.from_numpy(pfm.read(_depth_file(folder, reference)))
        near, far = self._options.span(cameras[0])
        return Sample(
            stacked([read_picture(_picture_file(folder, view)) for view in views], shown),
            torch.stack([torch.from_numpy(camera.projection()) for camera in cameras]),
            depth, depth > 0, near, far, shown, unit=cameras[0].interval / INTERVAL_MM,
            scan=name or self._root.name,
        )  # fmt: skip


_ONE_VIEW = "pair.txt names no other view: give each view at least one source"


def _scene_names(root: Path) -> list[str]:
    """Folders below the root, relative to it; "" where the root itself is one scene."""
    if (root / "cams").is_dir():
        return [""]
    names = sorted(path.parent.name for path in root.glob("*/cams") if path.is_dir())
    if not names:
        raise BadInput(
            f"no scene in MVSNet's folders, `cams` is missing: `{root}`",
            hint="INPUT is a folder with cams, pair.txt and pictures, or one of such folders",
        )
    return names


def _parts(root: Path, names: list[str]) -> dict[str, list[str]]:
    """Scenes that train, and those that do not."""
    listed = {
        part: [line.strip() for line in (root / file).read_text(encoding="utf-8").splitlines()]
        for part, file in _LISTS.items()
        if (root / file).is_file()
    }
    if listed:
        return {part: [name for name in names if name in listed.get(part, ())] for part in _LISTS}
    if len(names) == 1:
        return {"training": names, "validation": names}
    held = names[_EVERY - 1 :: _EVERY] or names[-1:]
    return {"training": [name for name in names if name not in held], "validation": held}


def _held(views: list[int], part: str, found: Mapping[str, Any]) -> list[int]:
    """References of a scene: of one that both trains and is held out, each part its own."""
    if len(found["views"]) > 1:
        return views
    held = views[_EVERY - 1 :: _EVERY] or views[-1:]
    return held if part == "validation" else [view for view in views if view not in held]


def _checked_views(folder: Path, shown: str) -> list[int]:
    """Views of a scene that have a picture, a camera, sources and a depth map.

    Raises:
        BadInput: something is missing, or does not fit.
    """
    pairs = read_pairs(_pair_file(folder))
    if len(pairs) < 2:
        raise BadInput(f"{len(pairs)} view in pair.txt: `{shown}`", hint=_ONE_VIEW)
    for view, sources in enumerate(pairs):
        _picture_file(folder, view)
        camera_files.read(_camera_file(folder, view))
        if not sources:
            raise BadInput(f"view {view} has no source: `{shown}/pair.txt`", hint=_ONE_VIEW)
    sizes = {size_of(_picture_file(folder, view)) for view in range(len(pairs))}
    if len(sizes) > 1:
        told = ", ".join(f"{width}×{height}" for width, height in sorted(sizes))
        raise BadInput(
            f"pictures of different sizes: {told}: `{shown}`",
            hint="all views of a scene have one size: scale them, and their cameras with them",
        )
    known = [view for view in range(len(pairs)) if _has_depth(folder, view)]
    if not known:
        raise BadInput(
            f"no depth map, `{_DEPTHS[0]}/{0:08d}.pfm` is missing: `{shown}`",
            hint="training needs true depth; `make scenes` makes such scenes",
        )
    depth = pfm.read(_depth_file(folder, known[0]))
    width, height = next(iter(sizes))
    if height % depth.shape[0] or width % depth.shape[1] or depth.ndim != 2:
        sizes_told = f"{depth.shape[1]}×{depth.shape[0]} for pictures of {width}×{height}"
        raise BadInput(
            f"depth of {sizes_told}: `{shown}`",
            hint="the pictures' size is a multiple of the depth maps'",
        )
    check_unit(depth, camera_files.read(_camera_file(folder, known[0])), shown)
    return known


def _pair_file(folder: Path) -> Path:
    return _first(folder, ("cams/pair.txt", "pair.txt"))


def _camera_file(folder: Path, view: int) -> Path:
    return folder / "cams" / f"{view:08d}_cam.txt"


def _picture_file(folder: Path, view: int) -> Path:
    return _first(
        folder, [f"{name}/{view:08d}{suffix}" for name in _PICTURES for suffix in _SUFFIXES]
    )


def _depth_file(folder: Path, view: int) -> Path:
    return _first(folder, [f"{name}/{view:08d}.pfm" for name in _DEPTHS])


def _has_depth(folder: Path, view: int) -> bool:
    return any((folder / name / f"{view:08d}.pfm").is_file() for name in _DEPTHS)


def _first(folder: Path, names: Iterable[str]) -> Path:
    """The first of some files that is there.

    Raises:
        BadInput: none is.
    """
    wanted = list(names)
    for name in wanted:
        if (folder / name).is_file():
            return folder / name
    raise BadInput(
        f"`{wanted[0]}` is missing: `{folder}`",
        detail=f"nor is there {', '.join(wanted[1:4])}" if wanted[1:] else "",
        hint="the download ended early, or is of other data: copy it again",
    )
