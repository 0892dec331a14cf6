"""The neural surface as a method that trains: what a scene and the options make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from maquette.recon.mvs.fused_files import sky_file
from maquette.recon.surface import dense_points, merging, sky_in_photos, sparse_points, states
from maquette.recon.surface.config import TrainingConfig
from maquette.recon.surface.dataset import PixelDataset
from maquette.recon.surface.mixed_points import mixed
from maquette.recon.surface.options import TrainingOptions
from maquette.recon.surface.previews import Preview
from maquette.recon.surface.surface_points import SurfacePoints
from maquette.recon.surface.trainer import LOWER_RATE, Trainer
from maquette.recon.training import runs
from maquette.recon.training.options import RunOptions
from maquette.recon.training.process_group import ProcessGroup, place
from maquette.recon.training.trainable import Method
from maquette.recon.views.checks import check
from maquette.recon.views.memory import cache_bytes
from maquette.recon.views.split import split
from maquette.recon.views.views import Views
from maquette.scene import transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.transforms import Transforms

_SMALLER = (
    "a smaller model needs FRESH=1: try PRESET=preview, or for a GPU of 8, 12 or 16 GB "
    "PRESET=full-8gb, full-12gb or full-16gb"
)


def train(
    scene: Scene, run: Path, options: TrainingOptions, progress: Progress
) -> dict[str, float | int]:
    """Train the scene's surface to `options.iterations`, continuing what is there.

    Args:
        run: The run's folder, for checkpoints, configuration, metrics and previews.

    Returns:
        iterations, psnr (last training batches), held_out_psnr, it_per_s, rays_per_s, seconds.

    Raises:
        ConfigError, BadInput: configuration, scene or checkpoint are not usable.
        Interrupted: asked to stop; the state is saved.
        JobFailed: the loss became NaN.
    """
    config, _ = _checked(scene, options)  # before anything is moved or started
    arguments = {"scene": str(scene.root), "options": asdict(options)}
    chosen = _run_options(options, config, f"{scene.name} {run.name}")
    done = runs.train(METHOD, arguments, run, chosen, progress)
    assert isinstance(done.trainable, Trainer)
    rays = done.trainable.rays * done.trainable.processes.world
    return {**done.numbers, "rays_per_s": round(done.numbers["it_per_s"] * rays)}


def build(
    scene: Scene,
    options: TrainingOptions,
    processes: ProcessGroup,
    state: dict[str, Any] | None = None,
) -> Trainer:
    """The trainer of one process, from what the scene and the options say.

    Args:
        state: The checkpoint that it will continue from: refused here when it does not fit.

    Raises:
        ConfigError, BadInput: configuration, scene or checkpoint are not usable.
    """
    config, cameras = _checked(scene, options)
    kept, held_out = split(cameras.frames)
    if state is not None:
        states.check_fits(state, cameras.region, config, len(kept))
        # The box may have changed since; the points that it chose stay.
        cameras = replace(cameras, region=states.region_of(state))
    device = place(processes.rank) if options.gpus else torch.device("cpu")
    size = config.data.train.image_size
    # On the CPU the dataset itself is all that pixels may take.
    views = Views(scene, kept, max(size) if size else None, 0 if device.type == "cpu" else None)
    limit = options.cache_bytes or cache_bytes(device, processes.world)
    before = None if state is None else state.get("views")
    sky = None
    if options.dense_points:
        points_file = scene.root / options.dense_points
        sky = sky_in_photos.read(sky_file(points_file), views.frames, device)
    dataset = PixelDataset(views, cameras.region, device, limit, options.seed, before, sky)
    points = _points(scene, options.dense_points, cameras, device)
    shown = Preview(scene, kept, held_out, config.data.val, device)
    return Trainer(config, dataset, cameras.region, device, options.seed, points, processes, shown)


def _build(
    arguments: Mapping[str, Any], processes: ProcessGroup, state: dict[str, Any] | None
) -> Trainer:
    options = TrainingOptions(**arguments["options"])
    return build(Scene(Path(arguments["scene"])), options, processes, state)


METHOD = Method(__name__, states.FORMAT, _build, LOWER_RATE, _SMALLER)


def _run_options(options: TrainingOptions, config: TrainingConfig, name: str) -> RunOptions:
    return RunOptions(
        gpus=options.gpus,
        fresh=options.fresh,
        checkpoint=options.checkpoint,
        save_minutes=options.save_minutes,
        save_iterations=config.checkpoint.save_iter,
        keep=config.checkpoint.keep,
        log_iterations=config.logging_iter,
        wandb=options.wandb,
        name=name,
    )


def _points(
    scene: Scene, given: str, cameras: Transforms, device: torch.device
) -> SurfacePoints | None:
    """Dense points where there are some and they are wanted, and sparse ones elsewhere."""
    told = cameras.frames, cameras.region, device
    dense = dense_points.read(scene, scene.root / given, *told) if given else None
    sparse = sparse_points.read(scene, *told)
    return sparse if dense is None else mixed(dense, sparse)


def _checked(scene: Scene, options: TrainingOptions) -> tuple[TrainingConfig, Transforms]:
    config = merging.merge(
        options.preset,
        scene.config,
        options.overrides,
        iterations=options.iterations,
        gpus=options.gpus,
    )
    cameras = transforms.read(scene.transforms)
    check(scene, cameras.frames, cameras.region, config.model.object.sdf.mlp.inside_out)
    return config, cameras
