"""Stage `consistency`: depth maps that agree with those of their neighbours; a shard has some."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from maquette.recon import gpus
from maquette.recon.mvs import shards
from maquette.recon.mvs.colmap_files import map_files, read_depths, read_maps, write_maps
from maquette.recon.mvs.grey_views import digest
from maquette.recon.mvs.patch_match import DepthMap, Matching, refine
from maquette.recon.mvs.plan import read_plan
from maquette.recon.mvs.shards import Material
from maquette.recon.stages.dense import STAGES
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["consistency"]

_NAME, _VERSION, _BEFORE = STAGE.name, STAGE.version, "depthmaps"


def split(scene: Scene, options: DeclaredOptions) -> list[list[int]]:
    """The numbers of each shard's views."""
    views = read_plan(scene.dense(options.group)).views
    return shards.split(views, options.n_images_per_group)


def run(
    scene: Scene, options: DeclaredOptions, views: list[int], progress: Progress
) -> Sequence[Path]:
    """Write `stereo/depth_maps/NAME.geometric.bin` and `stereo/normal_maps/…` of these views."""
    shards.share_threads(options.workers)
    material = Material.of(scene, options.group, views)
    done = shards.records(scene, _NAME, options.group)
    before = shards.records(scene, _BEFORE, options.group)
    plan, stereo = material.plan, material.stereo
    device = gpus.device_of(options.gpus, views[0] // options.n_images_per_group)
    matching = Matching(geometric_sweeps=options.geometric_sweeps, seed=options.seed)

    def key_of(view: int) -> str:
        told = [before.key(plan.names[number]) for number in (view, *plan.sources(view))]
        return digest(
            [_VERSION, asdict(matching), options.max_matching_cost, plan.spans[view], *told]
        )

    for view, key in done.missing(views, plan.names, key_of, progress.say):
        progress.step("photos", plan.views.index(view), len(plan.views))
        name = plan.names[view]
        found = read_maps(stereo, name, "photometric")
        if matching.geometric_sweeps:
            found = _refined(material, view, found, matching, device)
            found = found.kept(found.costs <= options.max_matching_cost)
        write_maps(stereo, name, found)
        done.write(name, key, map_files(stereo, name), kept=float((found.depth > 0).mean()))
    return [path for view in views for path in done.files(plan.names[view])]


def inputs(scene: Scene, options: DeclaredOptions, items: Sequence[list[int]]) -> list[list[Path]]:
    """What depth maps are made of, and those of each shard's views and their sources."""
    return shards.inputs_with_maps(scene, options.group, items, _BEFORE, "photometric")


def _refined(
    material: Material, view: int, start: DepthMap, matching: Matching, device: torch.device
) -> DepthMap:
    """A view's map after sweeps that look at the depths of its source views."""
    plan = material.plan
    span = plan.spans[view]
    assert span is not None
    sources = [
        material.grey(number, read_depths(material.stereo, plan.names[number], "photometric"))
        for number in plan.sources(view)
        if plan.spans[number] is not None
    ]
    return refine(start, material.grey(view), sources, span, matching, device)


def merge(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Say how much of the photos has a depth."""
    folder = scene.dense(options.group)
    plan, done = read_plan(folder), shards.records(scene, _NAME, options.group)
    names = [plan.names[view] for view in plan.views]
    kept = statistics.fmean(done.numbers(name).get("kept", 0.0) for name in names)
    files = [path for name in names for path in map_files(folder / "stereo", name)]
    return Report(files, numbers={"views": len(names), "pixels_with_depth": round(kept, 3)})
