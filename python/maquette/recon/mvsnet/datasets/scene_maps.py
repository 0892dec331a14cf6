"""A scene of ours with filtered depth maps, as data that train.

transforms.json, images/                 cameras and undistorted pictures
dense/<pipeline>/<GROUP>/pair.txt        sources of each view, by the pictures' names in order
dense/<pipeline>/<GROUP>/stereo/filtered depths that other views agree with
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from maquette.errors import BadInput
from maquette.recon.mvs.colmap_files import filtered_file, read_filtered_depth
from maquette.recon.mvs.neighbours import read_pairs
from maquette.recon.mvs.plan import read_plan
from maquette.recon.mvsnet.datasets.pictures import read_picture, stacked
from maquette.recon.mvsnet.datasets.ranges import PlaneOptions
from maquette.recon.mvsnet.samples import Sample
from maquette.scene import transforms
from maquette.scene.transforms import Frame

KIND = "scene"
MARKS = ("dense/*/*/stereo/filtered", "stages/layout.json")
_EVERY = 8  # the eighth view is held out
_QUANTILES, _MARGIN = (0.01, 0.99), 1.25


def index(root: Path) -> dict[str, Any]:
    """Say which depth maps there are: plain JSON values.

    Raises:
        BadInput, NotFound: there are none, or no cameras.
    """
    folders = sorted(path.parent.parent for path in root.glob(MARKS[0]))
    if not folders:
        raise BadInput(
            f"no filtered depth maps in the scene: `{root}`",
            hint=f"`make process PIPELINE=photogrammetry MODEL={root.name}` makes them",
        )
    workspace = folders[0]
    frames = _frames(root)
    pairs = read_pairs(workspace / "pair.txt")
    known = [
        view for view, frame in enumerate(frames)
        if view < len(pairs) and pairs[view]
        and filtered_file(workspace / "stereo", Path(frame.file_path).name).is_file()
    ]  # fmt: skip
    held = known[_EVERY - 1 :: _EVERY] or known[-1:]
    parts = {"training": [view for view in known if view not in held], "validation": held}
    return {"kind": KIND, "workspace": workspace.relative_to(root).as_posix(), "views": parts}


def remarks(found: Mapping[str, Any]) -> list[str]:
    """What truth these data have."""
    return [f"depth of `{found['workspace']}` is taken for true where other views agree"]


def counts(found: Mapping[str, Any]) -> dict[str, int]:
    """Samples of each part."""
    return {part: len(views) for part, views in found["views"].items()}


class SceneMaps:
    """Each view with a filtered depth map is a reference once; pictures have the maps' size."""

    reads_files = True

    def __init__(
        self, root: Path, found: Mapping[str, Any], part: str, options: PlaneOptions
    ) -> None:
        self._root, self._options = root, options
        self._workspace = root / found["workspace"]
        self._frames, self._plan = _frames(root), read_plan(self._workspace)
        self._views: list[int] = found["views"].get(part, [])

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, place: tuple[int, int]) -> Sample:
        reference = self._views[place[0]]
        sources = [view for view, _ in self._plan.pairs[reference]][: self._options.n_views - 1]
        views = [reference, *sources]
        name = Path(self._frames[reference].file_path).name
        if len(views) < 2:
            raise BadInput(
                f"one view alone shows no depth: `{name}`", hint="give N_VIEWS=2 or more"
            )
        depth = read_filtered_depth(self._workspace / "stereo", name)
        height, width = depth.shape
        pictures = [self._picture(view, width, height) for view in views]
        projections = [_projection(self._frames[view], width, height) for view in views]
        known = depth[depth > 0]
        near, far = self._plan.spans[reference] or (
            float(np.quantile(known, _QUANTILES[0]) / _MARGIN),
            float(np.quantile(known, _QUANTILES[1]) * _MARGIN),
        )
        truth = torch.from_numpy(depth)
        return Sample(
            stacked(pictures, name), torch.stack(projections), truth, truth > 0, near, far, name
        )

    def _picture(self, view: int, width: int, height: int) -> torch.Tensor:
        picture = read_picture(self._root / self._frames[view].file_path)[None]
        found = functional.interpolate(
            picture, (height, width), mode="bilinear", antialias=True, align_corners=False
        )
        return found[0]


def _frames(root: Path) -> list[Frame]:
    """In the order in which dense stereo counts them."""
    found = transforms.read(root / "transforms.json").frames
    return sorted(found, key=lambda frame: frame.file_path)


def _projection(frame: Frame, width: int, height: int) -> torch.Tensor:
    matrix: NDArray[np.float64] = np.eye(4)
    lens = frame.intrinsics.scaled(width, height).matrix()
    matrix[:3] = lens @ np.linalg.inv(frame.world_from_cam)[:3]
    return torch.from_numpy(matrix.astype(np.float32))
