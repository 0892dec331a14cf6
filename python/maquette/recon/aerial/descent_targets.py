"""What the views of a descent are to show: real photos, warped by the depth that splats have there.

A view has no photo of its own. Where a photo sees what the view sees, its colour counts; elsewhere
the splats' own picture holds them where they are, with little weight, since it tells nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from maquette.recon.aerial.photos_on_ground import Photos
from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.median_depth import median_depth
from maquette.recon.splats.rasteriser import render
from maquette.scene.transforms import Frame


@dataclass(frozen=True)
class Target:
    """One view.

    Attributes:
        color: [3, H, W] sRGB 0..1: of photos where `is_real` [H, W], else the splats' own.
    """

    camera: Camera
    color: Tensor
    is_real: Tensor


def targets_of(splats: Gaussians, frames: Sequence[Frame], photos: Photos) -> list[Target]:
    """The targets of all views."""
    return [_target(splats, frame, photos) for frame in frames]


def _target(splats: Gaussians, frame: Frame, photos: Photos) -> Target:
    camera = Camera.of(frame, splats.device)
    depth = median_depth(splats, camera).cpu()
    painted = photos.on(lifted(depth, frame), depth > 0)
    is_real = torch.from_numpy(np.isfinite(painted.colors).all(axis=2))
    with torch.no_grad():
        own = render(splats, camera).color.clamp(0, 1)
    warped = torch.from_numpy(np.nan_to_num(painted.colors)).permute(2, 0, 1).to(own.device)
    is_real = is_real.to(own.device)
    return Target(camera, torch.where(is_real, warped, own), is_real)


def lifted(depth: Tensor, frame: Frame) -> Tensor:
    """The places [H, W, 3], world units, float64, that a frame's pixels show at depths [H, W]."""
    lens = frame.intrinsics
    u = (torch.arange(lens.width, dtype=torch.float64) + 0.5 - lens.cx) / lens.fl_x
    v = (torch.arange(lens.height, dtype=torch.float64) + 0.5 - lens.cy) / lens.fl_y
    down, right = torch.meshgrid(v, u, indexing="ij")
    rays = torch.stack([right, down, torch.ones_like(right)], dim=-1)
    pose = torch.from_numpy(frame.world_from_cam)
    return (rays * depth.double()[..., None]) @ pose[:3, :3].T + pose[:3, 3]
