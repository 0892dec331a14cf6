"""Stage `clean`: trained splats without what is no part of the scene."""

from __future__ import annotations

from maquette.errors import JobFailed, shown_path
from maquette.recon.splats.cleaning import CleaningOptions, clean
from maquette.recon.splats.importance import importance_in, pruned
from maquette.recon.splats.trained import Trained, read_trained, write_master
from maquette.recon.stages.splat import STAGES, trained_file
from maquette.scene import outputs, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["clean"]


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `<MODEL>.ply`, the master, from the run's Gaussians.

    Raises:
        NotFound: none were trained.
        BadInput: their file is damaged, or not of splats.
        JobFailed: nothing of them is left.
    """
    source = trained_file(scene, options)
    progress.step("clean", 0, 1)
    trained, cameras = read_trained(source), transforms.read(scene.transforms)
    rules = CleaningOptions(
        crop=options.crop,
        min_opacity=options.min_opacity,
        max_elongation=options.max_elongation,
    )
    cleaned = clean(trained.gaussians, cameras.region, cameras.frames, rules)
    left = cleaned.gaussians
    if options.prune_ratio and len(left):
        left = pruned(left, options.prune_ratio, importance_in(left, cameras.frames))
    dropped = cleaned.dropped | {"pruned": len(cleaned.gaussians) - len(left)}
    if not len(left):
        raise JobFailed(
            f"nothing of the {len(trained.gaussians):,} splats of `{shown_path(source)}` is left",
            detail=", ".join(f"{name} {count:,}" for name, count in dropped.items() if count),
            hint=f"`make region MODEL={scene.name}` shows the region; CROP=0 keeps all around it",
        )
    master = scene.results / f"{scene.name}.ply"
    write_master(master, Trained(left, trained.iteration))
    progress.step("clean", 1, 1)
    numbers = {
        "splats": len(left),
        "trained": len(trained.gaussians),
        "dropped": {name: count for name, count in dropped.items() if count},
        "iteration": trained.iteration,
        "size_bytes": master.stat().st_size,
    }
    return Report([master], numbers=numbers, kinds={master: outputs.SPLATS})
