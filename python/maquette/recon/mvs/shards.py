"""How the views of dense stereo are shared out, and what each share has at hand."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from maquette.counting import counted
from maquette.errors import BadInput
from maquette.recon.mvs.colmap_files import Pass, map_files
from maquette.recon.mvs.grey_views import Contents, GreyViews
from maquette.recon.mvs.plan import PAIRS, VIEWS, Plan, read_plan
from maquette.recon.mvs.view_records import ViewRecords
from maquette.recon.views.images import camera_size, image_size
from maquette.recon.views.views import Views
from maquette.scene import masks, transforms
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame


@dataclass(frozen=True)
class Material:
    """What dense stereo reads of a scene.

    Attributes:
        folder: The dense workspace.
        frames: Cameras of the depth maps' sizes, in the plan's order.
    """

    scene: Scene
    folder: Path
    plan: Plan
    frames: Sequence[Frame]
    views: Views
    grey: GreyViews
    contents: Contents

    @classmethod
    def of(cls, scene: Scene, group: str, shard: Sequence[int] | None = None) -> Material:
        """Open a scene whose plan is made.

        Args:
            shard: The views that are worked at: their photos and their sources' have to be there;
                None: all.

        Raises:
            BadInput: something is missing or damaged, or of other photos.
        """
        folder = scene.dense(group)
        plan = read_plan(folder)
        cameras = transforms.read(scene.transforms).frames
        frames = sorted(cameras, key=lambda frame: frame.file_path)
        if plan.names != tuple(Path(frame.file_path).name for frame in frames):
            raise BadInput(
                f"`{scene.relative(folder)}` is of {counted(len(plan.names), 'photo')}, not of the "
                f"{counted(len(frames), 'photo')} that `{scene.transforms.name}` names",
                hint=f"`make process PIPELINE={scene.pipeline} MODEL={scene.name}` renews it",
            )
        needed = None if shard is None else with_sources(plan, shard)
        views = Views(scene, frames, plan.long_side, needed=needed)
        contents = Contents(scene, frames)
        return cls(scene, folder, plan, views.frames, views, GreyViews(views), contents)

    @property
    def stereo(self) -> Path:
        """Where the maps lie."""
        return self.folder / "stereo"


def records(scene: Scene, stage: str, group: str) -> ViewRecords:
    """The records of a stage's views; they go when a person has the stage done again."""
    return ViewRecords(scene.records(scene.pipeline) / stage / group, scene.root)


def split(views: Sequence[int], size: int) -> list[list[int]]:
    """Views in shares of a size."""
    return [list(views[first : first + size]) for first in range(0, len(views), size)]


def with_sources(plan: Plan, views: Iterable[int]) -> set[int]:
    """The numbers of some views and of their source views."""
    return {number for view in views for number in (view, *plan.sources(view))}


def inputs(scene: Scene, group: str, shares: Sequence[Collection[int]]) -> list[list[Path]]:
    """The files that `Material.of` reads for each share of the views, photos and masks included.

    A photo that is not as large as its camera says is part of all: nothing else tells its size.
    """
    folder = scene.dense(group)
    plan = read_plan(folder)
    frames = sorted(transforms.read(scene.transforms).frames, key=lambda frame: frame.file_path)
    photos = [scene.root / frame.file_path for frame in frames]
    odd = [
        photo
        for photo, frame in zip(photos, frames, strict=True)
        if photo.is_file() and image_size(scene, frame) != camera_size(frame)
    ]
    shared = [scene.transforms, folder / PAIRS, folder / VIEWS, *odd]
    told = masks.files(scene) if any(shares) else []
    return [
        [*shared, *told, *(photos[number] for number in sorted(with_sources(plan, share)))]
        for share in shares
    ]


def inputs_with_maps(
    scene: Scene, group: str, shares: Sequence[Collection[int]], stage: str, kind: Pass
) -> list[list[Path]]:
    """The same, with the maps of the share and its sources, and their records of a stage.

    Args:
        kind: Of the maps, `photometric` or `geometric`.
    """
    folder = scene.dense(group)
    plan, before = read_plan(folder), records(scene, stage, group)
    found = []
    for share, files in zip(shares, inputs(scene, group, shares), strict=True):
        names = [plan.names[number] for number in sorted(with_sources(plan, share))]
        maps = [path for name in names for path in map_files(folder / "stereo", name, kind)]
        found.append([*files, *maps, *(before.path(name) for name in names)])
    return found


def share_threads(workers: int) -> None:
    """Keep to this process's part of the cores, where several share a stage's work."""
    if workers > 1 and multiprocessing.parent_process() is not None:
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // workers))
