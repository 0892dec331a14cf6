"""Stage `depthmaps`: a depth map of each photo, from it and its neighbours; a shard has some."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from maquette.counting import counted
from maquette.errors import BadInput
from maquette.recon import gpus
from maquette.recon.mvs import shards
from maquette.recon.mvs.colmap_files import map_files, write_confidence, write_maps
from maquette.recon.mvs.estimators import DepthEstimator, PatchMatchEstimator
from maquette.recon.mvs.grey_views import digest
from maquette.recon.mvs.neighbours import visible_points
from maquette.recon.mvs.patch_match import Matching
from maquette.recon.mvs.plan import read_plan
from maquette.recon.mvs.shards import Material
from maquette.recon.stages.dense import PATCH_MATCH, STAGES, network_file, weight_files
from maquette.scene import colmap_model
from maquette.scene.atomic import replacing
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["depthmaps"]

_NAME, _VERSION = STAGE.name, STAGE.version


def split(scene: Scene, options: DeclaredOptions) -> list[list[int]]:
    """The numbers of each shard's views."""
    views = read_plan(scene.dense(options.group)).views
    return shards.split(views, options.n_images_per_group)


def run(
    scene: Scene, options: DeclaredOptions, views: list[int], progress: Progress
) -> Sequence[Path]:
    """Write `stereo/depth_maps/NAME.photometric.bin` and `stereo/normal_maps/…` of these views."""
    shards.share_threads(options.workers)
    material = Material.of(scene, options.group, views)
    done = shards.records(scene, _NAME, options.group)
    plan, estimator = material.plan, _estimator(scene, options, material, views)

    def key_of(view: int) -> str:
        told = [material.contents(number) for number in (view, *plan.sources(view))]
        settings = [
            _VERSION,
            estimator.settings,
            options.max_matching_cost,
            plan.long_side,
            plan.spans[view],
        ]
        return digest([options.group, *settings, *told, estimator.start(view)])

    for view, key in done.missing(views, plan.names, key_of, progress.say):
        progress.step("photos", plan.views.index(view), len(plan.views))
        found = estimator.estimate(view)
        files = [*map_files(material.stereo, plan.names[view], "photometric")]
        if options.depth != PATCH_MATCH:
            files.append(write_confidence(material.stereo, plan.names[view], 1 - found.costs))
        found = found.kept(found.costs <= options.max_matching_cost)
        write_maps(material.stereo, plan.names[view], found, "photometric")
        done.write(plan.names[view], key, files, kept=float((found.depth > 0).mean()))
    return [path for view in views for path in done.files(plan.names[view])]


def inputs(scene: Scene, options: DeclaredOptions, items: Sequence[list[int]]) -> list[list[Path]]:
    """Photos, masks and cameras of each shard's views, the points that they see, and weights."""
    model = [scene.sparse / name for name in colmap_model.FILES]
    shared = [*model, *weight_files(scene, options)]
    return [[*files, *shared] for files in shards.inputs(scene, options.group, items)]


def _estimator(
    scene: Scene, options: DeclaredOptions, material: Material, views: list[int]
) -> DepthEstimator:
    """What DEPTH asks for."""
    device = gpus.device_of(options.gpus, views[0] // options.n_images_per_group)
    if options.depth == PATCH_MATCH:
        tracks = colmap_model.read_tracks(scene.sparse)
        points = {view: visible_points(tracks, material.frames, view) for view in views}
        matching = Matching(material.plan.sweeps, planar=options.planar_prior, seed=options.seed)
        return PatchMatchEstimator(material, points, matching, device)
    from maquette.recon.mvsnet import weights
    from maquette.recon.mvsnet.estimator import NetworkEstimator

    own = network_file(scene, options)
    return NetworkEstimator(material, own if options.checkpoint else weights.SHIPPED, device)


def check(scene: Scene, options: DeclaredOptions) -> None:
    """Refuse to find depth by a network without usable weights.

    Raises:
        NotFound: there is no such file.
        BadInput: it holds no weights of such a network.
    """
    from maquette.recon.mvsnet import weights

    given, own = Path(options.checkpoint).expanduser(), network_file(scene, options)
    if not options.checkpoint:
        weights.load(weights.SHIPPED)
    elif given.is_file() or not own.is_file():
        weights.load(given)


def bring(scene: Scene, options: DeclaredOptions, progress: Progress) -> None:
    """Copy the weights that CHECKPOINT names into the scene, where they are here."""
    given, own = Path(options.checkpoint).expanduser(), network_file(scene, options)
    if options.checkpoint and given.is_file():
        with replacing(own) as temporary:
            temporary.write_bytes(given.read_bytes())


def merge(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Say how much of the photos has a depth.

    Raises:
        BadInput: nothing has.
    """
    folder = scene.dense(options.group)
    plan, done = read_plan(folder), shards.records(scene, _NAME, options.group)
    names = [plan.names[view] for view in plan.views]
    kept = statistics.fmean(done.numbers(name).get("kept", 0.0) for name in names)
    if not kept:
        raise _nothing_matches(scene, options)
    files = [path for name in names for path in map_files(folder / "stereo", name, "photometric")]
    return Report(files, numbers={"views": len(names), "pixels_with_depth": round(kept, 3)})


def _nothing_matches(scene: Scene, options: DeclaredOptions) -> BadInput:
    material = Material.of(scene, options.group)
    views, masks = material.plan.views, map(material.views.mask, material.plan.views)
    if all(mask is not None and not mask.any() for mask in masks):
        return BadInput(
            f"`masks/` excludes every pixel of {counted(len(views), 'photo')}",
            hint="white is used, black is not: turn the masks' colours round, or remove `masks/`",
        )
    return BadInput(
        f"no pixel of {counted(len(views), 'photo')} matches its neighbours: each costs more than "
        f"MAX_MATCHING_COST={options.max_matching_cost:g}",
        hint="the photos may be blurred or without any texture: look at them; "
        "MAX_MATCHING_COST=1.2 keeps more",
    )
