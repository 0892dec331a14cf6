"""Refusing views that no surface can be trained on, before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from maquette.errors import BadInput
from maquette.recon.geometry.rays import Cameras, pixel_centers, sphere_span
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

_MIN_FRAMES = 3
_OUTSIDE = 0.7  # unit space; the rule for objects lets cameras stand a little inside


def check(scene: Scene, frames: Sequence[Frame], region: Region, inside_out: bool = False) -> None:
    """Refuse scenes that can not be trained, before any work.

    Raises:
        BadInput: too few images, files that are missing, a region no camera sees, or cameras
            that stand inside what they should look at from outside.
    """
    if len(frames) < _MIN_FRAMES:
        raise BadInput(
            f"only {len(frames)} posed images, at least {_MIN_FRAMES} are needed: `{scene.root}`",
            hint="add photos and run `make prepare` again",
        )
    missing = [f.file_path for f in frames if not (scene.root / f.file_path).is_file()]
    if missing:
        raise BadInput(
            f"{len(missing)} of {len(frames)} images that transforms.json names are missing",
            detail=", ".join(missing[:5]) + (" …" if len(missing) > 5 else ""),
            hint="run `make prepare` again",
        )
    if not any(_sees(frame, region) for frame in frames):
        raise BadInput(
            f"no camera sees the region (center {region.center}, radius {region.radius:g})",
            hint="check the region with `make view`, or let `make prepare` set it again",
        )
    centers = region.unit_from_world(np.stack([frame.world_from_cam[:3, 3] for frame in frames]))
    if not inside_out and bool((np.linalg.norm(centers, axis=1) < _OUTSIDE).all()):
        raise BadInput(
            f"all {len(frames)} cameras stand well inside the region (radius {region.radius:g}), "
            "but the scene is meant to be seen from outside",
            hint="for a room use SCENE_TYPE=indoor; else choose a smaller region",
        )


def _sees(frame: Frame, region: Region) -> bool:
    """Whether any of 16 × 16 pixels looks into the region's sphere."""
    small = replace(frame, intrinsics=frame.intrinsics.scaled(16, 16))
    cpu = torch.device("cpu")
    pixels = pixel_centers(16, 16, cpu)
    rays = Cameras.of([small], region, cpu).rays(torch.zeros(len(pixels), dtype=torch.long), pixels)
    near, far = sphere_span(rays.origins, rays.directions)
    return bool((far > near).any())
