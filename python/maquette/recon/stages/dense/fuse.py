"""Stage `fuse`: what depth maps agree on, as filtered maps and as points of the region.

A shard filters the maps of some views. The merge fuses them one after the other, as each takes
pixels from those that follow, and keeps what it has after every so many views.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.recon import gpus
from maquette.recon.mvs import shards
from maquette.recon.mvs.colmap_files import (
    filtered_file,
    read_filtered,
    read_filtered_depth,
    read_maps,
    write_configuration,
    write_filtered,
    write_fused,
)
from maquette.recon.mvs.free_space import free_places, is_in_sky
from maquette.recon.mvs.fused_files import (
    free_space_file,
    fused_file,
    sky_file,
    visibility_file,
)
from maquette.recon.mvs.fused_parts import FusedPart, FusedParts
from maquette.recon.mvs.fusion import Agreement, Points, Taken, filter_map, fuse
from maquette.recon.mvs.grey_views import digest
from maquette.recon.mvs.patch_match import DepthMap
from maquette.recon.mvs.plan import read_plan
from maquette.recon.mvs.shards import Material
from maquette.recon.mvs.sky import Photo, Sky
from maquette.recon.mvs.sky_files import write_sky
from maquette.recon.mvs.view_records import ViewRecords
from maquette.recon.stages.dense import STAGES
from maquette.scene import outputs, transforms
from maquette.scene.atomic import replacing
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.upright import up_direction
from maquette.scene.workspace import scene_type_of
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["fuse"]

Skies = dict[int, NDArray[np.uint8]]  # by view, in bits: pixels that show sky

_NAME, _VERSION, _BEFORE = STAGE.name, STAGE.version, "consistency"
_KEPT = 16  # maps in memory
_MARGIN = 1.25  # of the region that points are kept in, so that a surface reaches its rim
_ASKED = 24  # photos that tell the colour of the sky
_TRIED = 8  # photos that are asked for the limit that nothing passed


def split(scene: Scene, options: DeclaredOptions) -> list[list[int]]:
    """The numbers of each shard's views."""
    views = read_plan(scene.dense(options.group)).views
    return shards.split(views, options.n_images_per_group)


def run(
    scene: Scene, options: DeclaredOptions, views: list[int], progress: Progress
) -> Sequence[Path]:
    """Write `stereo/filtered/NAME.bin` of these views: what other maps agree with."""
    shards.share_threads(options.workers)
    device = gpus.device_of(options.gpus, views[0] // options.n_images_per_group)
    work = _Fusion.of(scene, options, progress, device, views)
    work.filter(views)
    return [path for view in views for path in work.done.files(work.material.plan.names[view])]


def inputs(scene: Scene, options: DeclaredOptions, items: Sequence[list[int]]) -> list[list[Path]]:
    """The maps of each shard's views and of their sources, and what these were made of."""
    return shards.inputs_with_maps(scene, options.group, items, _BEFORE, "geometric")


def merge(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Fuse the filtered maps, view after view, to `fused.ply` with `.vis`.

    Raises:
        BadInput: no point survives.
    """
    work = _Fusion.of(scene, options, progress, gpus.device_of(options.gpus))
    kept = work.kept()
    if not kept:
        raise _nothing_agrees(work)
    region = _kept_in(transforms.read(scene.transforms).region, options)
    material, count = work.material, _Count()
    fused = fused_file(material.folder, options.is_for_training)
    parts = work.parts(region)
    skies = work.skies() if options.is_for_training else {}
    points = work.points(region, parts, count)
    written = write_fused(fused, work.below_sky(skies, points, count) if skies else points)
    if not count.all:
        raise _nothing_agrees(work)
    if not written:
        raise BadInput(
            f"none of {count.all:,} fused points lies in the region of `{scene.name}`",
            hint=f"look at it with `make adjust MODEL={scene.name}`",
        )
    plan = material.plan
    names = [plan.names[view] for view in plan.views]
    place = {view: number for number, view in enumerate(plan.views)}
    sources = [[place[n] for n in plan.sources(view) if n in place] for view in plan.views]
    write_configuration(material.stereo, names, sources)
    files = [filtered_file(material.stereo, name) for name in names]
    numbers = {
        "pixels_that_agree": round(kept, 3),
        "points": written,
        "points_outside": count.all - count.sky - written,
        "views_per_point": round(count.views / max(count.all, 1), 2),
    }
    parts.drop()
    made = [fused, visibility_file(fused), *files]
    if options.is_for_training:
        free = work.free_places(region, skies)
        with replacing(free_space_file(fused)) as file:
            np.save(file, free)
        sky_in = work.sky_in(skies)
        write_sky(sky_file(fused), {plan.names[view]: sky_in(view) for view in skies})
        made += [free_space_file(fused), sky_file(fused)]
        numbers |= {"points_in_sky": count.sky, "free_places": len(free)}
    kinds = {} if options.is_for_training else {fused: outputs.POINTS}
    return Report(made, numbers=numbers, kinds=kinds)


def _kept_in(region: Region, options: DeclaredOptions) -> Region:
    """Where points are kept: training sees all of the sphere, a mesh the box."""
    whole = Region.around(region.center, region.radius)
    return whole if options.is_for_training else region.widened(_MARGIN)


@dataclass
class _Count:
    """Points so far, inside the region or not, the views that see them, and those in the sky."""

    all: int = 0
    views: int = 0
    sky: int = 0


@dataclass(frozen=True)
class _Fusion:
    """Filtering and fusion of maps of a workspace, few in memory at a time."""

    material: Material
    agreement: Agreement
    options: DeclaredOptions
    progress: Progress
    device: torch.device
    read: Callable[[int], DepthMap]
    read_filtered: Callable[[int], DepthMap]

    @classmethod
    def of(
        cls, scene: Scene, options: DeclaredOptions, progress: Progress, device: torch.device,
        shard: Sequence[int] | None = None,
    ) -> _Fusion:  # fmt: skip
        """Open a scene whose maps are made, or those of a shard."""
        material = Material.of(scene, options.group, shard)
        agreement = Agreement(
            options.max_reproj_error, options.max_depth_error, options.max_normal_error,
            options.min_views, options.speckle_size,
        )  # fmt: skip
        names, stereo = material.plan.names, material.stereo
        read = lru_cache(_KEPT)(lambda view: read_maps(stereo, names[view]))
        kept = lru_cache(_KEPT)(lambda view: read_filtered(stereo, names[view]))
        return cls(material, agreement, options, progress, device, read, kept)

    @property
    def done(self) -> ViewRecords:
        """The records of the views that are filtered."""
        return shards.records(self.material.scene, _NAME, self.options.group)

    def filter(self, views: Sequence[int]) -> None:
        """Write the filtered maps of some views that are not written yet."""
        plan, done = self.material.plan, self.done
        before = shards.records(self.material.scene, _BEFORE, self.options.group)

        def key_of(view: int) -> str:
            told = [before.key(plan.names[number]) for number in (view, *plan.sources(view))]
            return digest([_VERSION, asdict(self.agreement), *told])

        for view, key in done.missing(views, plan.names, key_of, self.progress.say):
            self.progress.step("filtered", plan.views.index(view), len(plan.views))
            kept, name = self.filtered(view, self.agreement).depth, plan.names[view]
            write_filtered(self.material.stereo, name, kept)
            file = filtered_file(self.material.stereo, name)
            done.write(name, key, [file], kept=float((kept > 0).mean()))

    def kept(self) -> float:
        """The share of pixels kept of all views."""
        plan, done = self.material.plan, self.done
        names = [plan.names[view] for view in plan.views]
        return float(np.mean([done.numbers(name).get("kept", 0.0) for name in names]))

    def filtered(self, view: int, agreement: Agreement) -> DepthMap:
        """The pixels of a view that others agree with."""
        frames = self.material.frames
        others = [(self.read(n), frames[n]) for n in self.material.plan.sources(view)]
        return filter_map(self.read(view), frames[view], others, agreement, self.device)

    def parts(self, region: Region) -> FusedParts:
        """Where fused points are kept until all are there."""
        plan, done = self.material.plan, self.done
        keys = [done.key(plan.names[view]) for view in plan.views]
        settings = [_VERSION, self.options.group, self.options.n_images_per_group]
        folder = self.material.scene.records(self.material.scene.pipeline) / _NAME
        return FusedParts(folder, digest([*settings, region.digest, *keys])[:12])

    def points(self, region: Region, parts: FusedParts, count: _Count) -> Iterator[Points]:
        """The fused points of each view that lie in a region, some views at a time."""
        taken: Taken = {}
        groups = shards.split(self.material.plan.views, self.options.n_images_per_group)
        for number, views in enumerate(groups):
            part = parts.read(number)
            if part is None:
                part = self._fused(views, region, taken)
                parts.write(number, part)
            taken = part.taken
            count.all, count.views = count.all + part.all, count.views + part.views
            yield from part.points

    def skies(self) -> Skies:
        """Which pixels of the views show sky, as far as that is sure; a room has none."""
        scene, views = self.material.scene, self.material.plan.views
        if scene_type_of(scene) == "indoor":
            return {}
        cameras = transforms.read(scene.transforms)
        asked = views[:: max(1, len(views) // _ASKED)]
        sky = Sky(up_direction(cameras.frames, cameras.up)).told_by(map(self._photo, asked))
        found = {}
        for view in views:
            shown, mask = sky.shown_in(self._photo(view)), self.material.views.mask(view)
            shown = shown if mask is None else shown & mask
            if shown.any():
                found[view] = np.packbits(shown)
        return found

    def below_sky(self, skies: Skies, points: Iterator[Points], count: _Count) -> Iterator[Points]:
        """Points without those that lie in the sky: what depth maps saw in clouds."""
        frames, views, sky_in = self.material.frames, list(skies), self.sky_in(skies)
        for some in points:
            in_sky = is_in_sky(some.points, frames, views, sky_in)
            count.sky += int(in_sky.sum())
            yield some.chosen(~in_sky)

    def free_places(self, region: Region, skies: Skies) -> NDArray[np.float32]:
        """Where nothing is, as far as the maps and the sky in the photos tell."""
        material, plan = self.material, self.material.plan

        def depth_of(view: int) -> NDArray[np.float32]:
            return read_filtered_depth(material.stereo, plan.names[view])

        return free_places(material.frames, plan.views, depth_of, self.sky_in(skies), region)

    def sky_in(self, skies: Skies) -> Callable[[int], NDArray[np.bool_]]:
        """The pixels [H, W] of each view that show sky."""

        def shown(view: int) -> NDArray[np.bool_]:
            lens = self.material.frames[view].intrinsics
            if view not in skies:
                return np.zeros((lens.height, lens.width), np.bool_)
            bits = np.unpackbits(skies[view], count=lens.height * lens.width)
            return bits.reshape(lens.height, lens.width).astype(np.bool_)

        return shown

    def _photo(self, view: int) -> Photo:
        depth = read_filtered_depth(self.material.stereo, self.material.plan.names[view])
        return Photo(self.material.views.read_image(view), depth, self.material.frames[view])

    def _fused(self, views: Sequence[int], region: Region, taken: Taken) -> FusedPart:
        """The points of some views, where those of all before them left `taken`."""
        material, plan = self.material, self.material.plan
        pairs = [plan.sources(view) for view in range(len(plan.names))]
        part, first = FusedPart(taken=dict(taken)), plan.views.index(views[0])
        found = fuse(
            material.frames, pairs, self.read_filtered, material.views.image, self.agreement,
            plan.views, self.device, first, part.taken,
        )  # fmt: skip
        for place, points in enumerate(islice(found, len(views)), first):
            self.progress.step("fused", place, len(plan.views))
            part.all += len(points.points)
            part.views += int((points.views >= 0).sum())
            part.points.append(points.chosen(region.contains(points.points)))
        return part


def _nothing_agrees(work: _Fusion) -> BadInput:
    """Which limit it was: with each of them loosened alone, how many pixels pass."""
    given = work.agreement
    loosened = {
        f"MIN_VIEWS={given.views}": replace(given, views=1),
        f"MAX_REPROJ_ERROR={given.reprojection_px:g}": replace(given, reprojection_px=1e6),
        f"MAX_DEPTH_ERROR={given.depth:g}": replace(given, depth=1.0),
        f"MAX_NORMAL_ERROR={given.normal_deg:g}": replace(given, normal_deg=180.0),
        f"SPECKLE_SIZE={given.speckle_px}": replace(given, speckle_px=0),
    }
    views = work.material.plan.views
    tried = views[:: max(1, len(views) // _TRIED)]
    passing = {
        name: sum(int((work.filtered(view, limits).depth > 0).sum()) for view in tried)
        for name, limits in loosened.items()
    }
    worst = max(passing, key=lambda name: passing[name])
    if not passing[worst]:
        return BadInput(
            "no pixel of any depth map is confirmed by another photo, whatever the limits",
            hint="the photos may not show the same thing: look at stages/region.png",
        )
    return BadInput(
        f"no point survives fusion: {worst} is the limit that drops them all",
        detail=f"without it {passing[worst]:,} pixels of {len(tried)} photos would pass",
        hint=f"loosen {worst.partition('=')[0]}, or take more photos that overlap",
    )
