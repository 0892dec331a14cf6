"""Splats as a method that trains: what a scene and the options make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from maquette.errors import BadInput, ConfigError
from maquette.recon.splats.options import SplatOptions
from maquette.recon.splats.trained import FORM
from maquette.recon.splats.trainer import SplatTrainer
from maquette.recon.training import runs
from maquette.recon.training.options import RunOptions
from maquette.recon.training.process_group import ProcessGroup, place
from maquette.recon.training.trainable import Method
from maquette.recon.views.checks import check
from maquette.recon.views.images import mask_paths, read_mask
from maquette.recon.views.memory import memory_bytes
from maquette.scene import transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame, Transforms

_BYTES_OF_ONE = 2_000  # of a Gaussian of degree 3 while it trains, with its share of a rendering
_SHARE_OF_MEMORY = 0.7


def train(
    scene: Scene,
    run: Path,
    options: SplatOptions,
    chosen: RunOptions,
    progress: Progress,
) -> dict[str, Any]:
    """Train the scene's splats to `options.iterations`, continuing what is there.

    Args:
        run: The run's folder, for checkpoints, configuration, metrics and previews. Its name is
            that of the group whose dense points training begins with, where there are any.

    Returns:
        iterations, gaussians, first (what training began with), psnr (last training photos),
        held_out_psnr and held_out_ssim, it_per_s, seconds.

    Raises:
        ConfigError, BadInput: options, scene or checkpoint are not usable.
        Interrupted: asked to stop; the state is saved.
        JobFailed: the loss became NaN.
    """
    _checked(scene)  # before anything is moved or started
    _check_cap(options.cap, _device(chosen.gpus, 0))
    arguments = {
        "scene": str(scene.root),
        "group": run.name,
        "gpus": chosen.gpus,
        "options": asdict(options),
    }
    done = runs.train(METHOD, arguments, run, chosen, progress)
    trainer = done.trainable
    assert isinstance(trainer, SplatTrainer)
    return {"gaussians": len(trainer.splats), "first": trainer.source} | done.numbers


def _build(
    arguments: Mapping[str, Any], processes: ProcessGroup, state: dict[str, Any] | None
) -> SplatTrainer:
    scene, options = Scene(Path(arguments["scene"])), SplatOptions(**arguments["options"])
    cameras = _checked(scene)
    device = _device(arguments["gpus"], processes.rank)
    return SplatTrainer(scene, arguments["group"], cameras.frames, cameras.region, options, device)


METHOD = Method(__name__, FORM, _build, "ITERATIONS=…", "try CAP=30000, or PRESET=preview")


def largest_cap(free_bytes: int) -> int:
    """How many Gaussians can be trained in some memory, rounded down to thousands."""
    return int(_SHARE_OF_MEMORY * free_bytes / _BYTES_OF_ONE) // 1000 * 1000


def _check_cap(cap: int, device: torch.device) -> None:
    whole = (
        torch.cuda.get_device_properties(device).total_memory
        if device.type == "cuda"
        else memory_bytes()
    )
    most = largest_cap(whole)
    if cap > most:
        raise ConfigError(
            f"CAP={cap:,} is more than fits into {whole / 1e9:.1f} GB of memory",
            hint=f"the largest that does is CAP={most}",
        )


def _device(gpus: int, rank: int) -> torch.device:
    return place(gpus, rank) if gpus else torch.device("cpu")


def _checked(scene: Scene) -> Transforms:
    cameras = transforms.read(scene.transforms)
    check(scene, cameras.frames, cameras.region, inside_out=True)
    _check_masks(scene, cameras.frames)
    return cameras


def _check_masks(scene: Scene, frames: Sequence[Frame]) -> None:
    masks = mask_paths(scene)
    for frame in frames:
        path = masks.get(Path(frame.file_path).stem)
        if path is None or read_mask(path, (64, 64)).any():
            return
    raise BadInput(
        f"all {len(frames)} masks are black: `{scene.masks}`",
        hint="white is what counts: replace the files of `masks/`, or move them away",
    )
