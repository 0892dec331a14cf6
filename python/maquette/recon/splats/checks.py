"""Refusing what splats can not be trained on, before any work."""

from __future__ import annotations

from collections.abc import Sequence

from maquette.errors import BadInput
from maquette.recon.views.checks import check
from maquette.recon.views.images import mask_paths, read_mask
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame, Transforms

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


def _is_all_black(scene: Scene, frames: Sequence[Frame]) -> bool:
    for path in mask_paths(scene, frames):
        if path is None or read_mask(path, (_LOOK_PX, _LOOK_PX)).any():
            return False
    return bool(frames)
