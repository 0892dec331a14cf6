"""Stage `fuse`: what depth maps agree on, as filtered maps and as points of the region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import numpy as np

from maquette.errors import BadInput
from maquette.recon import gpus
from maquette.recon.mvs import shards
from maquette.recon.mvs.colmap_files import (
    filtered_file,
    read_filtered,
    read_maps,
    write_configuration,
    write_filtered,
    write_fused,
)
from maquette.recon.mvs.fused_files import fused_file, visibility_file
from maquette.recon.mvs.fusion import Agreement, Points, filter_map, fuse
from maquette.recon.mvs.grey_views import digest
from maquette.recon.mvs.patch_match import DepthMap
from maquette.recon.mvs.shards import Material
from maquette.recon.stages.dense import STAGES
from maquette.scene import outputs, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["fuse"]

_NAME, _VERSION, _BEFORE = STAGE.name, STAGE.version, "consistency"
_KEPT = 16  # maps in memory
_MARGIN = 1.25  # of the region that points are kept in, so that a surface reaches its rim
_TRIED = 8  # photos that are asked for the limit that nothing passed


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `stereo/filtered/NAME.bin`, and `fused.ply` with `.vis`.

    Raises:
        BadInput: no point survives.
    """
    material = Material.of(scene, options.group)
    agreement = Agreement(
        options.max_reproj_error, options.max_depth_error, options.max_normal_error,
        options.min_views, options.speckle_size,
    )  # fmt: skip
    work = _Fusion(material, agreement, options, progress)
    kept = work.filter_all()
    if not kept:
        raise _nothing_agrees(work)
    region = transforms.read(scene.transforms).region
    count = _Count()
    fused = fused_file(material.folder)
    written = write_fused(fused, work.points(_widened(region), count))
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
        "points_outside": count.all - written,
        "views_per_point": round(count.views / max(count.all, 1), 2),
    }
    made = [fused, visibility_file(fused), *files]
    return Report(made, numbers=numbers, kinds={fused: outputs.POINTS})


@dataclass
class _Count:
    """Points so far, inside the region or not, and the views that see them."""

    all: int = 0
    views: int = 0


class _Fusion:
    """Filtering and fusion of all maps of a workspace, few in memory at a time."""

    def __init__(
        self, material: Material, agreement: Agreement, options: DeclaredOptions, progress: Progress
    ) -> None:
        self.material, self.agreement = material, agreement
        self._options, self._progress = options, progress
        self._device = gpus.device_of(options.gpus)
        plan, stereo = material.plan, material.stereo
        self.read = lru_cache(_KEPT)(lambda view: read_maps(stereo, plan.names[view]))
        self._read_filtered = lru_cache(_KEPT)(lambda view: read_filtered(stereo, plan.names[view]))

    def filter_all(self) -> float:
        """Write each view's filtered map; returns the share of pixels kept."""
        plan, scene, group = self.material.plan, self.material.scene, self._options.group
        done, before = (shards.records(scene, name, group) for name in (_NAME, _BEFORE))

        def key_of(view: int) -> str:
            told = [before.key(plan.names[number]) for number in (view, *plan.sources(view))]
            return digest([_VERSION, asdict(self.agreement), *told])

        for view, key in done.missing(plan.views, plan.names, key_of, self._progress.say):
            self._progress.step("filtered", plan.views.index(view), len(plan.views))
            kept, name = self.filtered(view, self.agreement).depth, plan.names[view]
            write_filtered(self.material.stereo, name, kept)
            file = filtered_file(self.material.stereo, name)
            done.write(name, key, [file], kept=float((kept > 0).mean()))
        self.read.cache_clear()
        names = [plan.names[view] for view in plan.views]
        return float(np.mean([done.numbers(name).get("kept", 0.0) for name in names]))

    def filtered(self, view: int, agreement: Agreement) -> DepthMap:
        """The pixels of a view that others agree with."""
        frames = self.material.frames
        others = [(self.read(n), frames[n]) for n in self.material.plan.sources(view)]
        return filter_map(self.read(view), frames[view], others, agreement, self._device)

    def points(self, region: Region, count: _Count) -> Iterator[Points]:
        """The fused points of each view that lie in a region."""
        material, plan = self.material, self.material.plan
        pairs = [plan.sources(view) for view in range(len(plan.names))]
        parts = fuse(
            material.frames, pairs, self._read_filtered, material.views.image, self.agreement,
            plan.views, self._device,
        )  # fmt: skip
        for number, part in enumerate(parts):
            self._progress.step("fused", number, len(plan.views))
            count.all += len(part.points)
            count.views += int((part.views >= 0).sum())
            yield part.chosen(region.contains(part.points))


def _widened(region: Region) -> Region:
    box = np.asarray(region.box)
    middle, half = box.mean(1, keepdims=True), np.ptp(box, axis=1)[:, None] / 2
    wider = np.concatenate([middle - _MARGIN * half, middle + _MARGIN * half], axis=1)
    return Region.around(region.center, _MARGIN * region.radius, wider)


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
