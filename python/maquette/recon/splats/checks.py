"""Refusing what splats can not be trained on, or with, before any work."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from maquette.errors import BadInput, ConfigError
from maquette.recon.views.checks import check
from maquette.recon.views.images import mask_paths, read_mask
from maquette.recon.views.memory import memory_bytes
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame, Transforms

_BYTES_OF_ONE = 2_000  # of a Gaussian of degree 3 while it trains, with its share of a rendering
_SHARE_OF_MEMORY = 0.7
_LOOK_PX = 64


def check_scene(scene: Scene, cameras: Transforms) -> None:
    """Refuse photos and masks that nothing can be learned from.

    Raises:
        BadInput: too few photos, files that are missing, a region that no camera sees, or masks
            that leave nothing.
    """
    check(scene, cameras.frames, cameras.region, inside_out=True)
    if _is_all_black(scene, cameras.frames):
        raise BadInput(
            f"all {len(cameras.frames)} masks are black: `{scene.masks}`",
            hint="white is what counts: replace the files of `masks/`, or move them away",
        )


def check_cap(cap: int, device: torch.device) -> None:
    """Refuse more Gaussians than memory holds.

    Raises:
        ConfigError: it says the largest number that fits.
    """
    whole = (
        torch.cuda.get_device_properties(device).total_memory
        if device.type == "cuda"
        else memory_bytes()
    )
    most = largest_cap(whole)
    if cap > most:
        raise ConfigError(
            f"CAP={cap} is more than fits into {whole / 1e9:.1f} GB of memory",
            hint=f"the largest that does is CAP={most}",
        )


def largest_cap(bytes_: int) -> int:
    """How many Gaussians can be trained in some memory, rounded down to thousands."""
    return int(_SHARE_OF_MEMORY * bytes_ / _BYTES_OF_ONE) // 1000 * 1000


def _is_all_black(scene: Scene, frames: Sequence[Frame]) -> bool:
    for path in mask_paths(scene, frames):
        if path is None or read_mask(path, (_LOOK_PX, _LOOK_PX)).any():
            return False
    return bool(frames)
