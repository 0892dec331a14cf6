"""Whether Gaussians lie in the surface that their depths draw.

Notation: n_i is the normal of a Gaussian, its shortest axis, which faces the camera; w_i the share
in which it makes up a pixel, and N the normal of the surface that the pixels' mean depths draw. All
are in the camera's frame. Σ w_i n_i is drawn as if it were a colour: N is the same for all i.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.gaussians import SH_C0, Gaussians
from maquette.recon.splats.projection import rotation_matrices
from maquette.recon.splats.rasteriser import render
from maquette.recon.splats.renderings import Rendering
from maquette.recon.splats.surface_maps import rays_of

_COVERED = 0.9  # of a pixel that has a depth
_OFFSET = 1.5  # rasterised colours are cut at 0


def normal_loss(splats: Gaussians, shown: Rendering, camera: Camera, antialias: bool) -> Tensor:
    """Mean of Σ w_i (1 - n_i · N) over covered pixels; scalar, differentiable in the Gaussians.

    Args:
        shown: What the camera sees of them.

    Source: Huang et al., "2D Gaussian splatting for geometrically accurate radiance fields", 2024,
    section 5, normal consistency; differs: the shortest of three axes, and covered pixels alone.
    """
    drawn = render(replace(splats, sh=_as_colors(_normals(splats, camera))), camera, antialias)
    covered = (1 - drawn.passing)[1:-1, 1:-1]
    blended = (drawn.color - _OFFSET * (1 - drawn.passing))[:, 1:-1, 1:-1]
    counts = covered.detach() > _COVERED
    apart = covered - (blended * _surface_normals(shown, camera)).sum(0)
    return (apart * counts).sum() / counts.sum().clamp(min=1)


def _normals(splats: Gaussians, camera: Camera) -> Tensor:
    """Shortest axes [N, 3], camera frame, towards the camera."""
    axis = torch.nn.functional.one_hot(splats.log_scales.argmin(dim=1), 3).float()
    turned = camera.rotation.detach() @ rotation_matrices(splats.quaternions)  # [N, 3, 3]
    normals = (turned @ axis[:, :, None])[:, :, 0]
    centers = splats.means.detach() @ camera.rotation.detach().T + camera.translation.detach()
    away = (normals.detach() * centers).sum(dim=1, keepdim=True) > 0
    return torch.where(away, -normals, normals)


def _as_colors(normals: Tensor) -> Tensor:
    """Harmonics [N, 1, 3] that are drawn as the normals, moved to where all are > 0."""
    return ((normals + _OFFSET - 0.5) / SH_C0)[:, None].contiguous()


def _surface_normals(shown: Rendering, camera: Camera) -> Tensor:
    """Normals [3, H - 2, W - 2] of the inner pixels' mean depths, towards the camera."""
    rays = rays_of(camera)
    points = rays * (shown.depth / (1 - shown.passing).clamp(min=1e-3))
    right = points[:, 1:-1, 2:] - points[:, 1:-1, :-2]
    down = points[:, 2:, 1:-1] - points[:, :-2, 1:-1]
    return torch.nn.functional.normalize(torch.linalg.cross(down, right, dim=0), dim=0)
